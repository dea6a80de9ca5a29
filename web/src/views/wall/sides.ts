// Which side a small screen shows below or beside the picture; a large one shows all of them.
import { signal } from '@preact/signals';

export type Side = 'cameras' | 'tile' | 'more';
export const sideShown = signal<Side>('cameras');

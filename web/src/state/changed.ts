// Counters that tell open pages to read again: what others did comes as an event without its content.
import { signal } from '@preact/signals';

export const agreementsChanged = signal(0);

// Which view is open: the part of the address after `#`, so that the server serves one page only.
import { signal } from '@preact/signals';

const read = () => location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);

/** The parts of the path: `#/agreements/A-2026-0001` is `['agreements', 'A-2026-0001']`. */
export const path = signal<string[]>(typeof location === 'undefined' ? [] : read());

if (typeof window !== 'undefined') window.addEventListener('hashchange', () => (path.value = read()));

export const href = (...parts: string[]) => `#/${parts.map(encodeURIComponent).join('/')}`;
export const go = (...parts: string[]) => {
  location.hash = href(...parts);
};

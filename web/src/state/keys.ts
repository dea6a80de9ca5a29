// Keyboard shortcuts: one list, from which the `?` sheet is drawn and by which the keys work.
import { signal } from '@preact/signals';

export interface Shortcut { keys: string; does: string; run: (event: KeyboardEvent) => void; group: string; when?: () => boolean }

const registered = signal<Shortcut[]>([]);
export const sheet = signal(false);

/** Adds shortcuts; the answer takes them away. */
export function shortcuts(list: Shortcut[]): () => void {
  registered.value = [...registered.value, ...list];
  return () => {
    registered.value = registered.value.filter((s) => !list.includes(s));
  };
}

export const known = registered;

/** `Ctrl+Shift+z`, `Alt+1`, `?`: the name of a key press. */
export function named(event: KeyboardEvent): string {
  const key = event.key === ' ' ? 'Space' : event.key;
  const shift = event.shiftKey && (key.length > 1 || event.ctrlKey || event.altKey);
  return `${event.ctrlKey || event.metaKey ? 'Ctrl+' : ''}${event.altKey ? 'Alt+' : ''}${shift ? 'Shift+' : ''}${key.length === 1 ? key.toLowerCase() : key}`;
}

const writes = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.tagName === 'TEXTAREA' || target.tagName === 'SELECT' ||
    (target instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'range', 'submit'].includes(target.type)));

export function listen(): () => void {
  const down = (event: KeyboardEvent) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const name = named(event);
    const typing = writes(event.target);
    for (const shortcut of registered.value) {
      if (shortcut.keys.split(' ').some((k) => k === name || k.toLowerCase() === name.toLowerCase()) && (!shortcut.when || shortcut.when())) {
        if (typing && !/^(Alt\+|F\d)/.test(name)) continue;
        event.preventDefault();
        shortcut.run(event);
        return;
      }
    }
  };
  window.addEventListener('keydown', down);
  return () => window.removeEventListener('keydown', down);
}

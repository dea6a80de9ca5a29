// The server's events: what changed, at once. Says plainly when it is cut off, and comes back by itself.
import { signal } from '@preact/signals';
import { address } from './client';

export type Connection = { state: 'closed' } | { state: 'opening' } | { state: 'open' } | { state: 'lost'; since: number; retryAt: number };

export const connection = signal<Connection>({ state: 'closed' });

/** The longest wait between two attempts. */
const LONGEST_WAIT_MS = 8000;
/** `wall` comes once a second: where nothing at all came for so long, the connection is not to be believed. */
const SILENCE_MS = 6000;

const NAMES = ['layout', 'wall', 'alarm', 'tour', 'incident', 'agreement', 'registry', 'notice', 'missed'] as const;
export type EventName = (typeof NAMES)[number];
type Listener = (name: EventName, data: unknown) => void;

let source: EventSource | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
let watchdog: ReturnType<typeof setInterval> | undefined;
let wait = 500;
let heard = 0;

/** Listens until `close`; `reopened` is called after each (re)connection, to read what was missed. */
export function open(listener: Listener, reopened: () => void) {
  close();
  const connect = () => {
    if (connection.value.state !== 'lost') connection.value = { state: 'opening' };
    const stream = new EventSource(address('/events'));
    source = stream;
    stream.onopen = () => {
      wait = 500;
      heard = Date.now();
      connection.value = { state: 'open' };
      reopened();
    };
    for (const name of NAMES) {
      stream.addEventListener(name, (event) => {
        heard = Date.now();
        listener(name, parse((event as MessageEvent<string>).data));
      });
    }
    stream.onerror = () => lost();
  };
  const lost = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
    const since = connection.value.state === 'lost' ? connection.value.since : Date.now();
    connection.value = { state: 'lost', since, retryAt: Date.now() + wait };
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  watchdog = setInterval(() => {
    if (connection.value.state === 'open' && Date.now() - heard > SILENCE_MS) lost();
  }, 1000);
  connect();
}

export function close() {
  clearTimeout(timer);
  clearInterval(watchdog);
  source?.close();
  source = null;
  wait = 500;
  connection.value = { state: 'closed' };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

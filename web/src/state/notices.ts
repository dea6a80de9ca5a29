// Short messages to the person: what was done, what was refused and why. Read aloud by screen readers.
import { signal } from '@preact/signals';
import { Problem } from '../api/client';
import { t, word } from '../i18n';

export type Tone = 'good' | 'warn' | 'bad';
export interface Notice { id: number; tone: Tone; text: string }

export const notices = signal<Notice[]>([]);
let next = 1;
const STAYS_MS: Record<Tone, number> = { good: 4000, warn: 9000, bad: 12_000 };

export function say(text: string, tone: Tone = 'good') {
  const id = next++;
  notices.value = [...notices.value.filter((n) => n.text !== text).slice(-3), { id, tone, text }];
  setTimeout(() => dismiss(id), STAYS_MS[tone]);
}

export function dismiss(id: number) {
  notices.value = notices.value.filter((n) => n.id !== id);
}

/** A failure in the person's words: the translated reason where there is one, with the server's detail. */
export function explain(error: unknown): string {
  if (error instanceof Problem) {
    if (error.code === 'unreachable') return t('problem.unreachable');
    if (error.status === 429) return t('problem.tooOften', { seconds: error.retryAfter ?? 60 });
    const translated = error.code ? word('refusal', error.code) : '';
    if (translated && translated !== error.code) return `${translated} (${error.detail})`;
    return error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** Runs what may fail, and says so where it does. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    say(explain(error), 'bad');
    return undefined;
  }
}

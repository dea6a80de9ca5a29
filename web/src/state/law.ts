// The lists from which purposes and legal bases are chosen, in the person's language.
import { signal } from '@preact/signals';
import { get } from '../api/client';
import type { Page, Term } from '../api/types';
import { language } from '../i18n';

export const purposes = signal<Term[]>([]);
export const legalBases = signal<Term[]>([]);

export async function readLaw(): Promise<void> {
  const list = async (path: string) => {
    const answer = await get<Term[] | Page<Term>>(path).catch(() => [] as Term[]);
    return Array.isArray(answer) ? answer : answer.items;
  };
  if (purposes.value.length === 0) [purposes.value, legalBases.value] = await Promise.all([list('/purposes'), list('/legal-bases')]);
}

const named = (list: Term[], word: string | null | undefined) => (word ? (list.find((term) => term.word === word)?.[language.value] ?? word) : '');
export const purposeText = (word: string | null | undefined) => named(purposes.value, word);
export const basisText = (word: string | null | undefined, own?: string | null) => own || named(legalBases.value, word);
export const options = (list: Term[]): [string, string][] => list.map((term) => [term.word, term[language.value]]);

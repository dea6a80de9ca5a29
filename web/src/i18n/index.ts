// The page's words in three languages. A language is loaded when it is first used.
import { signal } from '@preact/signals';
import i18next from 'i18next';

export const LANGUAGES = { en: 'English', fr: 'Français', nl: 'Nederlands' } as const;
export type Language = keyof typeof LANGUAGES;

export const language = signal<Language>('en');
const KEPT = 'vitrail.language';

const loaders: Record<Language, () => Promise<{ default: object }>> = {
  en: () => import('./en.json'),
  fr: () => import('./fr.json'),
  nl: () => import('./nl.json'),
};

const known = (text: string | null | undefined): Language | null => {
  const short = text?.slice(0, 2).toLowerCase();
  return short && short in LANGUAGES ? (short as Language) : null;
};

/** The language that this browser last used or asks for. */
export async function startLanguage(): Promise<void> {
  await setLanguage(localStorage.getItem(KEPT) ?? navigator.languages.find((l) => known(l)) ?? 'en');
}

export async function setLanguage(wanted: string): Promise<void> {
  const chosen = known(wanted) ?? 'en';
  if (!i18next.isInitialized) {
    await i18next.init({ lng: chosen, fallbackLng: false, nsSeparator: false, resources: {}, interpolation: { escapeValue: false }, returnNull: false });
  }
  if (!i18next.hasResourceBundle(chosen, 'translation')) {
    i18next.addResourceBundle(chosen, 'translation', (await loaders[chosen]()).default);
  }
  await i18next.changeLanguage(chosen);
  localStorage.setItem(KEPT, chosen);
  document.documentElement.lang = chosen;
  language.value = chosen;
}

const CHOSEN = 'vitrail.language.chosen';

/** Somebody chose a language before the login: it holds after it, also where that goes by another page. */
export async function chooseLanguage(wanted: string): Promise<void> {
  await setLanguage(wanted);
  sessionStorage.setItem(CHOSEN, language.value);
}

/** What was chosen before the login, once. */
export function takeChosen(): Language | null {
  const chosen = known(sessionStorage.getItem(CHOSEN));
  sessionStorage.removeItem(CHOSEN);
  return chosen;
}

/** The words for `key`, in the language of now; a component that calls it follows the language. */
export function t(key: string, values: Record<string, unknown> = {}): string {
  void language.value;
  return i18next.t(key, values);
}

/** The words for `group.word`, or the word itself where the server is ahead of the page. */
export function word(group: string, name: string | null | undefined): string {
  void language.value;
  if (!name) return '';
  const key = `${group}.${name}`;
  return i18next.exists(key) ? i18next.t(key) : name;
}

const LOCALES: Record<Language, string> = { en: 'en-GB', fr: 'fr-BE', nl: 'nl-BE' };

export function dateTime(text: string | number | null | undefined): string {
  if (text === null || text === undefined || text === '') return '';
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return String(text);
  return date.toLocaleString(LOCALES[language.value], { dateStyle: 'medium', timeStyle: 'medium' });
}

export function day(text: string | null | undefined): string {
  if (!text) return '';
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toLocaleDateString(LOCALES[language.value], { dateStyle: 'medium' });
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString(LOCALES[language.value], { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 40 ms, 1.2 s, 3 min, 2 h: an age or a wait, short. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${number(ms / 1000, 1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

// Who is logged in, and what that person may do.
import { computed, signal } from '@preact/signals';
import { get, onLoggedOut, patch, post, Problem, useCsrf } from '../api/client';
import type { Me, Permission } from '../api/types';
import { setLanguage, startLanguage, takeChosen } from '../i18n';

export interface Setup { needed: boolean; sign_on: boolean }

/** `undefined`: not asked yet; `null`: nobody. */
export const me = signal<Me | null | undefined>(undefined);
export const setup = signal<Setup>({ needed: false, sign_on: false });
/** True where a login ended while the page was in use. */
export const ended = signal(false);
/** Set where the server cannot be reached at the start. */
export const unreachable = signal(false);

/** What people are called, by account. */
const names = signal<Record<string, string>>({});
const unknown = new Set<string>();
let namesAt = 0;

/** Reads the names again, where one is not known: an account may be new. */
function readNames(): void {
  if (Date.now() - namesAt < 10_000) return;
  namesAt = Date.now();
  const asked = Object.keys(names.value).length === 0 ? [] : [...unknown];
  void get<Record<string, string>>('/names')
    .then((all) => {
      // Whoever has no name even now was removed: the account stands for itself.
      names.value = { ...Object.fromEntries(asked.map((id) => [id, id])), ...all };
      unknown.clear();
    })
    .catch(() => {});
}

/** What a person is called; the account where that is not known, or not yet. */
export function personName(id: string | null | undefined): string {
  if (!id) return '';
  if (id === 'system') return 'Vitrail';
  if (id === me.value?.account) return me.value.name;
  const name = names.value[id];
  if (name === undefined) {
    unknown.add(id);
    readNames();
  }
  return name ?? id;
}

const permissions = computed(() => new Set(me.value?.permissions ?? []));
export const may = (permission: Permission) => permissions.value.has(permission);

onLoggedOut(() => {
  if (me.value) ended.value = true;
  me.value = null;
  names.value = {};
});

export async function start(): Promise<void> {
  unreachable.value = false;
  try {
    await readMe();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) {
      unreachable.value = true;
      return;
    }
    await readSetup();
    me.value = null;
  }
}

async function readSetup() {
  setup.value = (await get<Setup>('/setup').catch(() => null)) ?? { needed: false, sign_on: false };
}

async function readMe() {
  let answer = await get<Me>('/me');
  useCsrf(answer.csrf);
  const chosen = takeChosen();
  // What was chosen at the login is this person's language from now on, in every browser.
  if (chosen && chosen !== answer.language) answer = (await patch<Me>('/me', { language: chosen }).catch(() => null)) ?? { ...answer, language: chosen };
  await (answer.language ? setLanguage(answer.language) : startLanguage());
  ended.value = false;
  me.value = answer;
}

export async function login(name: string, password: string): Promise<void> {
  await post('/login', { name, password });
  await readMe();
}

export async function firstStart(token: string, name: string, password: string): Promise<void> {
  await post('/setup', { token, name, password });
  setup.value = { ...setup.value, needed: false };
  await readMe();
}

export async function logout(): Promise<void> {
  await post('/logout').catch(() => {});
  me.value = null;
  ended.value = false;
  await readSetup();
}

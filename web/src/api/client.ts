// One way to the server: JSON in and out, the CSRF header on changes, problem+json as an error.
import type { Page } from './types';

const ROOT = '/api/v1';
let csrf = '';
let whenLoggedOut: () => void = () => {};

/** What the server says is wrong (RFC 9457); `code` is the word that is translated. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string | null = null,
    readonly more: unknown = null,
    readonly retryAfter: number | null = null,
  ) {
    super(`${title}: ${detail}`);
  }
}

export function useCsrf(token: string) {
  csrf = token;
}

export function onLoggedOut(listener: () => void) {
  whenLoggedOut = listener;
}

/** The headers of a change. */
export function changeHeaders(): Record<string, string> {
  return csrf ? { 'X-CSRF': csrf } : {};
}

export function address(path: string): string {
  return ROOT + path;
}

/** The bare exchange, for bodies that are not JSON. Throws a Problem for every status that is not 2xx. */
export async function exchange(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  const changes = method !== 'GET';
  try {
    response = await fetch(address(path), {
      ...init,
      method,
      credentials: 'same-origin',
      headers: { ...(changes ? changeHeaders() : {}), ...(init.headers as Record<string, string> | undefined) },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'server', 'does not answer', 'unreachable');
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (response.status === 401 && !path.startsWith('/login') && !path.startsWith('/me/password')) whenLoggedOut();
  throw problem;
}

async function readProblem(response: Response): Promise<Problem> {
  const retry = Number(response.headers.get('Retry-After'));
  const body = (await response.json().catch(() => null)) as Record<string, unknown> | null;
  return new Problem(
    response.status,
    typeof body?.title === 'string' ? body.title : String(response.status),
    typeof body?.detail === 'string' ? body.detail : response.statusText,
    typeof body?.code === 'string' ? body.code : null,
    body?.more ?? null,
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}

async function json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { signal };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  const response = await exchange(method, path, init);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => json<T>('GET', path, undefined, signal);
export const post = <T>(path: string, body: unknown = {}) => json<T>('POST', path, body);
export const put = <T>(path: string, body: unknown = {}) => json<T>('PUT', path, body);
export const patch = <T>(path: string, body: unknown = {}) => json<T>('PATCH', path, body);
export const del = <T = null>(path: string) => json<T>('DELETE', path);

/** `path?key=value…`, without what is empty. */
export function query(path: string, values: Record<string, string | number | boolean | null | undefined>): string {
  const parts = Object.entries(values)
    .filter(([, value]) => value !== null && value !== undefined && value !== '')
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`);
  return parts.length ? `${path}?${parts.join('&')}` : path;
}

/** All pages of a list, at most `most` items. */
export async function all<T>(path: string, most = 10_000): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const page: Page<T> = await get<Page<T>>(
      `${path}${path.includes('?') ? '&' : '?'}limit=1000${after ? `&after=${encodeURIComponent(after)}` : ''}`,
    );
    items.push(...page.items);
    after = page.next;
  } while (after && items.length < most);
  return items;
}

/** Hands a file to the person: the browser saves it. */
export async function save(response: Response, fallback: string): Promise<void> {
  const named = /filename="?([^";]+)"?/.exec(response.headers.get('Content-Disposition') ?? '')?.[1];
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = named ?? fallback;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// What an operator does to the wall: admitted first, sent with the version it was made from, and where another
// was quicker, shown to the operator instead of overwriting.
import { signal } from '@preact/signals';
import { post, Problem } from '../api/client';
import type { Admission, Change, ChangesAnswer, Layout } from '../api/types';
import { t, word } from '../i18n';
import { differences, isLayout, stillPossible, touched, type Difference } from '../layout/conflict';
import { attempt, explain, say } from './notices';
import { layout, refreshState, takeLayout } from './wall';

/** A question that waits for the operator's answer before anything is applied. */
export interface AdmissionQuestion { kind: 'admission'; admission: Admission; title: string; apply: () => void }
export interface ConflictQuestion {
  kind: 'conflict'; differences: Difference[]; possible: Change[]; impossible: { change: Change; why: 'gone' | 'locked' }[]; reapply: () => void;
}
export const question = signal<AdmissionQuestion | ConflictQuestion | null>(null);
export const busy = signal(false);

/** Changes that cost the machine nothing more: applied without asking what would come of them. */
const FREE = new Set(['clear', 'lock', 'crop', 'fit', 'unspan', 'swap']);

/** Changes the wall, asking first where it would not simply fit. */
export async function change(changes: Change[], title: string): Promise<void> {
  if (changes.length === 0) return;
  if (changes.every((c) => FREE.has(c.op))) return apply(changes);
  await admitted(changes, title, () => void apply(changes));
}

/** Asks what would come of it; applies it at once where it fits, else only when the operator says so. */
export async function admitted(changes: Change[], title: string, then: () => void): Promise<void> {
  busy.value = true;
  try {
    const admission: Admission = changes.length ? await post<Admission>('/wall/admit', { changes }) : { admission: 'fits', spare: 0 };
    if (admission.admission === 'fits') then();
    else question.value = { kind: 'admission', admission, title, apply: then };
  } catch (error) {
    say(explain(error), 'bad');
  } finally {
    busy.value = false;
  }
}

/** Sends changes with the version that the operator saw. */
export async function apply(changes: Change[]): Promise<void> {
  const seen = layout.value;
  if (!seen) return;
  busy.value = true;
  try {
    const answer = await post<ChangesAnswer>('/wall/changes', { version: seen.version, changes });
    take(answer, new Set(changes.flatMap(touched)));
  } catch (error) {
    if (!offerAgain(error, seen, changes)) say(explain(error), 'bad');
  } finally {
    busy.value = false;
  }
}

/** Says which of the tiles that were touched stay dark, and why. */
function take(answer: ChangesAnswer, subjects: ReadonlySet<string>) {
  takeLayout(answer.layout);
  for (const one of answer.refused) {
    if (subjects.has(one.tile)) say(t('wall.refusedTile', { tile: one.tile, why: refusalText(one.refusal) }), 'warn');
  }
  void refreshState();
}

export function refusalText(refusal: { code?: string; text?: string | null }): string {
  const translated = word('refusal', refusal.code);
  return translated && translated !== refusal.code ? `${translated}${refusal.text ? ` – ${refusal.text}` : ''}` : (refusal.text ?? refusal.code ?? '');
}

/** After a 409: what the other did, and what of mine can still be done. True where it was one. */
function offerAgain(error: unknown, seen: Layout, changes: Change[]): boolean {
  if (!(error instanceof Problem) || error.status !== 409 || error.code === 'locked') return false;
  const now = (error.more as { layout?: unknown } | null)?.layout;
  if (!isLayout(now)) return false;
  takeLayout(now);
  void refreshState();
  const { possible, impossible } = stillPossible(changes, now);
  question.value = {
    kind: 'conflict', differences: differences(seen, now), possible, impossible, reapply: () => void apply(possible),
  };
  return true;
}

export async function undo(): Promise<void> {
  await step('/wall/undo', 'wall.nothingToUndo');
}

export async function redo(): Promise<void> {
  await step('/wall/redo', 'wall.nothingToRedo');
}

async function step(path: string, nothing: string) {
  const seen = layout.value;
  if (!seen) return;
  try {
    take(await post<ChangesAnswer>(`${path}?version=${seen.version}`), new Set());
  } catch (error) {
    const code = error instanceof Problem && error.status === 409 ? error.code : null;
    if (code === 'nothing') return say(t(nothing), 'warn');
    if (code === 'changed') {
      const now = ((error as Problem).more as { layout?: unknown } | null)?.layout;
      if (isLayout(now)) takeLayout(now);
      return say(t('conflict.title'), 'warn');
    }
    say(explain(error), 'bad');
  }
}

/** Anything else that is sent and answers nothing of interest; `done` is said when it worked. */
export async function send(work: () => Promise<unknown>, done?: string): Promise<boolean> {
  const answer = await attempt(async () => {
    await work();
    return true;
  });
  if (answer && done) say(done);
  return answer === true;
}

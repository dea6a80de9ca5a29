// How cameras stand: the server's word, read here by tiles, overview, lists, map, thumbnails and panels alike.
import { computed, signal } from '@preact/signals';
import { connection } from '../api/events';
import type { CameraState } from '../api/types';
import { heardAt, wall } from './wall';

/** The server tells once a second: after so long without a word, what it said last is claimed no more. */
export const SILENT_MS = 5000;
const LOOK_MS = 500;

const clock = signal(Date.now());

/** Keeps looking whether the server still tells, until the answer is called. */
export function watchTrust(): () => void {
  const look = () => (clock.value = Date.now());
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

/** The server was heard, but not for a while. */
export const silent = computed(() => heardAt.value > 0 && clock.value - heardAt.value > SILENT_MS);

/** What was said last still holds. False: names stay, and nothing is claimed of them. */
export const trusted = computed(() => connection.value.state !== 'lost' && heardAt.value > 0 && !silent.value);

/** Of a camera, while the server is not heard. */
const UNKNOWN: CameraState = { state: 'unknown' };
const EMPTY: CameraState = { state: 'empty' };

/** How a camera stands now; `null`: no tile shows it and nothing keeps it ready, so nothing is known. */
export function cameraNow(id: string | null | undefined): CameraState | null {
  const known = id ? wall.value?.states[id] : undefined;
  if (!known) return null;
  return trusted.value ? known : UNKNOWN;
}

/** The same for a tile: there is always something to say. */
export function tileNow(tile: { camera: string | null }): CameraState {
  if (!trusted.value) return UNKNOWN;
  return tile.camera ? (cameraNow(tile.camera) ?? UNKNOWN) : EMPTY;
}

/** States in which the newest picture is one of now: in every other one, no picture stands for the camera. */
const PICTURED = new Set(['live', 'standby']);
export const isPictured = (now: CameraState | null) => now !== null && PICTURED.has(now.state);

/** Whether the newest picture that came may be seen: of a camera that is not open, none; while nothing is heard, dimmed. */
export const mayStand = (now: CameraState | null) => isPictured(now) || now?.state === UNKNOWN.state;

export interface Look { icon: string; tone: 'live' | 'wait' | 'old' | 'bad' | 'refused' | 'none' }

const LOOKS: Record<string, Look> = {
  live: { icon: 'live', tone: 'live' },
  connecting: { icon: 'waiting', tone: 'wait' },
  waiting: { icon: 'waiting', tone: 'wait' },
  standby: { icon: 'standby', tone: 'wait' },
  stalled: { icon: 'old', tone: 'old' },
  frozen: { icon: 'old', tone: 'old' },
  delayed: { icon: 'old', tone: 'old' },
  stale: { icon: 'old', tone: 'old' },
  old: { icon: 'old', tone: 'old' },
  offline: { icon: 'offline', tone: 'bad' },
  undecodable: { icon: 'offline', tone: 'bad' },
  refused: { icon: 'refused', tone: 'refused' },
  empty: { icon: 'empty', tone: 'none' },
  unknown: { icon: 'unknown', tone: 'none' },
};

/** How a state looks: a shape and a tone of its own. A word that this page does not know is no good news. */
export const lookOf = (now: CameraState): Look => LOOKS[now.state] ?? LOOKS.unknown!;

/** Which tiles show a camera, on any screen. */
// It changes with what is where, not with every state.
const shownText = computed(() => JSON.stringify(Object.entries(wall.value?.states ?? {}).flatMap(([id, now]) => (now.tiles?.length ? [[id, now.tiles]] : []))));
export const shownOn = computed(() => new Map(JSON.parse(shownText.value) as [string, string[]][]));

/** The states of all cameras as one text, for what is drawn anew as a whole. */
export const statesText = computed(() => (trusted.value ? Object.entries(wall.value?.states ?? {}).map(([id, now]) => `${id}:${now.state}`).join() : ''));

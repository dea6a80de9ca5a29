// How a camera stands: the server's word, once, and nothing at all where the server is not heard.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connection } from '../src/api/events';
import type { CameraState, WallState } from '../src/api/types';
import { cameraNow, isPictured, lookOf, mayStand, shownOn, silent, SILENT_MS, tileNow, trusted, watchTrust } from '../src/state/cameras';
import { forget, takeState } from '../src/state/wall';

const states: Record<string, CameraState> = {
  'cam-1': { state: 'live', age_ms: 40, tiles: ['left.1'] },
  'cam-2': { state: 'offline', reason: 'cannot be reached', age_ms: 61_000, tiles: ['left.2', 'right.1'] },
  'cam-3': { state: 'standby', age_ms: 300 },
};
const told = () => takeState({ incident: null, states, screens: [] } as unknown as WallState);
let stop = () => {};

beforeEach(() => {
  vi.useFakeTimers();
  stop = watchTrust();
  connection.value = { state: 'open' };
  told();
});
afterEach(() => {
  stop();
  forget();
  vi.useRealTimers();
});

describe('a camera', () => {
  it('is in every view what the server says of it', () => {
    expect(cameraNow('cam-2')).toBe(states['cam-2']);
    expect(tileNow({ camera: 'cam-2' })).toBe(states['cam-2']);
    expect(shownOn.value.get('cam-2')).toEqual(['left.2', 'right.1']);
    expect(shownOn.value.has('cam-3')).toBe(false);
  });
  it('has a picture only while that is one of now', () => {
    expect(['live', 'standby'].every((state) => isPictured({ state }))).toBe(true);
    for (const state of ['stalled', 'frozen', 'delayed', 'undecodable', 'offline', 'refused', 'waiting', 'connecting', 'unknown', 'of a later server']) expect([state, isPictured({ state })]).toEqual([state, false]);
  });
  it('is said nothing of, where nothing keeps it open', () => {
    expect(cameraNow('cam-9')).toBeNull();
    expect(isPictured(null)).toBe(false);
    expect(mayStand(null)).toBe(false);
    expect(tileNow({ camera: null }).state).toBe('empty');
  });
  it('never looks live by a word that the page does not know', () => {
    expect(lookOf({ state: 'of a later server' })).toEqual(lookOf({ state: 'unknown' }));
    expect(lookOf({ state: 'live' })).not.toEqual(lookOf({ state: 'unknown' }));
  });
});

describe('a server that is not heard', () => {
  const claims = () => [cameraNow('cam-1')?.state, cameraNow('cam-2')?.state, tileNow({ camera: 'cam-1' }).state, tileNow({ camera: null }).state];
  const nothing = ['unknown', 'unknown', 'unknown', 'unknown'];
  it('leaves nothing that is claimed, and its next word brings all back', () => {
    vi.advanceTimersByTime(SILENT_MS - 1000);
    expect([trusted.value, silent.value]).toEqual([true, false]);
    vi.advanceTimersByTime(2000);
    expect([trusted.value, silent.value]).toEqual([false, true]);
    expect(claims()).toEqual(nothing);
    told();
    vi.advanceTimersByTime(600);
    expect([trusted.value, cameraNow('cam-1')?.state]).toEqual([true, 'live']);
  });
  it('is noticed at once where the connection itself is lost', () => {
    connection.value = { state: 'lost', since: Date.now(), retryAt: Date.now() };
    expect(claims()).toEqual(nothing);
  });
});

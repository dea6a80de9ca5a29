// The wall as it is (state, once a second) and as it is wished (layout, with its version).
import { computed, signal } from '@preact/signals';
import { get } from '../api/client';
import type { Alarm, Incident, Layout, TourState, WallScreen, WallState, WallTile } from '../api/types';
import { hang } from '../layout/geometry';
import { isLayout } from '../layout/conflict';

export const wall = signal<WallState | null>(null);
export const layout = signal<Layout | null>(null);
/** The incident under which the wall shows. */
export const incident = signal<Incident | null>(null);
/** When the newest state came, by this browser's clock. */
export const heardAt = signal(0);

export const screenId = signal<string | null>(null);
export const tileId = signal<string | null>(null);

export const screens = computed<WallScreen[]>(() => wall.value?.screens ?? []);
export const screen = computed<WallScreen | null>(
  () => screens.value.find((s) => s.id === screenId.value) ?? screens.value[0] ?? null,
);
export const tile = computed<WallTile | null>(() => screen.value?.tiles.find((t) => t.id === tileId.value) ?? null);

// The places change with the set of screens only, not with every state.
const hung = computed(() => JSON.stringify(screens.value.map((s) => ({ id: s.id, width: s.width, height: s.height, x: s.x, y: s.y }))));
export const plane = computed(() => hang(JSON.parse(hung.value)));

/** Alarms that nobody has acknowledged yet. */
export const openAlarms = computed<Alarm[]>(() => (wall.value?.alarms ?? []).filter((a) => !a.acknowledged_by && !a.acknowledged_at));
export const tours = computed<TourState[]>(() => wall.value?.tours ?? []);

export async function readWall(): Promise<void> {
  const [state, wish] = await Promise.all([get<WallState>('/wall'), get<Layout>('/wall/layout')]);
  takeState(state);
  takeLayout(wish);
}

export function takeState(state: WallState) {
  wall.value = state;
  heardAt.value = Date.now();
  if (state.incident !== (incident.value?.id ?? null)) void readIncident();
}

/** Reads the wall's incident anew: when it is another one, or something was done to it. */
export async function readIncident(): Promise<void> {
  const id = wall.value?.incident;
  if (!id) {
    incident.value = null;
    return;
  }
  const read = await get<Incident>(`/incidents/${encodeURIComponent(id)}`).catch(() => null);
  if (wall.value?.incident === id && read) incident.value = read;
}

/** Takes a layout unless a newer one is there already: events and answers may cross. */
export function takeLayout(next: Layout) {
  if (!layout.value || next.version >= layout.value.version) layout.value = next;
}

/** What an event brings: the state or the layout itself, or only the news that there is another. */
export function hear(name: 'wall' | 'layout', data: unknown) {
  if (name === 'wall' && data && typeof data === 'object' && 'screens' in data) takeState(data as WallState);
  else if (name === 'layout' && isLayout(data)) {
    takeLayout(data);
    void refreshState();
  } else void readWall().catch(() => {});
}

let refreshing: Promise<void> | null = null;
/** Reads the state at once, without waiting for the next second: after a change. */
export function refreshState(): Promise<void> {
  refreshing ??= get<WallState>('/wall')
    .then(takeState)
    .catch(() => {})
    .finally(() => {
      refreshing = null;
    });
  return refreshing;
}

export function forget() {
  wall.value = null;
  incident.value = null;
  layout.value = null;
  screenId.value = null;
  tileId.value = null;
  heardAt.value = 0;
}

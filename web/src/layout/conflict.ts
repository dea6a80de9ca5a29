// What to do where two operators changed the wall at once: what the other did, and what of mine still makes sense. Pure.
import type { Change, Layout, LayoutTile, Region } from '../api/types';

/** The tiles, screens and regions that a change names. */
export function touched(change: Change): string[] {
  switch (change.op) {
    case 'swap':
      return [change.a, change.b];
    case 'arrange':
    case 'unspan':
      return [change.region];
    case 'span':
      return change.screens;
    default:
      return [change.tile];
  }
}

export interface Difference { subject: string; what: 'camera' | 'pinned' | 'locked' | 'crop' | 'fit' | 'place' | 'arrangement' | 'gone' | 'new'; from: string; to: string; by: string | null }

const tilesOf = (layout: Layout) => new Map(layout.regions.flatMap((r) => r.tiles.map((tile) => [tile.id, tile] as const)));
const text = (value: unknown) => (value === null || value === undefined ? '' : Array.isArray(value) ? value.join(' ') : String(value));

/** What the other did since: from the layout that I saw to the one that is there now. */
export function differences(seen: Layout, now: Layout): Difference[] {
  const result: Difference[] = [];
  const regions = new Map(seen.regions.map((r) => [r.id, r]));
  for (const region of now.regions) {
    const before = regions.get(region.id);
    regions.delete(region.id);
    if (!before) result.push({ subject: region.id, what: 'new', from: '', to: region.arrangement, by: now.by });
    else if (before.arrangement !== region.arrangement)
      result.push({ subject: region.id, what: 'arrangement', from: before.arrangement, to: region.arrangement, by: now.by });
  }
  for (const id of regions.keys()) result.push({ subject: id, what: 'gone', from: '', to: '', by: now.by });
  const before = tilesOf(seen);
  for (const [id, tile] of tilesOf(now)) {
    const old = before.get(id);
    if (!old) continue;
    const by = tile.by ?? now.by;
    const compare = (what: Difference['what'], a: unknown, b: unknown) => {
      if (text(a) !== text(b)) result.push({ subject: id, what, from: text(a), to: text(b), by });
    };
    compare('camera', old.camera, tile.camera);
    compare('pinned', old.pinned, tile.pinned);
    compare('locked', old.locked, tile.locked);
    compare('crop', old.crop, tile.crop);
    compare('fit', old.fit, tile.fit);
    compare('place', old.at, tile.at);
  }
  return result;
}

/** Which of my changes can still be made on the layout of now, and which not and why. */
export function stillPossible(changes: readonly Change[], now: Layout): { possible: Change[]; impossible: { change: Change; why: 'gone' | 'locked' }[] } {
  const tiles = tilesOf(now);
  const screens = new Set(now.regions.flatMap((r) => r.screens));
  const names = new Set([...tiles.keys(), ...now.regions.map((r) => r.id), ...screens]);
  const possible: Change[] = [];
  const impossible: { change: Change; why: 'gone' | 'locked' }[] = [];
  for (const change of changes) {
    const subjects = touched(change);
    if (!subjects.every((s) => names.has(s))) impossible.push({ change, why: 'gone' });
    else if (change.op !== 'lock' && subjects.some((s) => tiles.get(s)?.locked)) impossible.push({ change, why: 'locked' });
    else possible.push(change);
  }
  return { possible, impossible };
}

/** The tile of that id in a layout. */
export function tileIn(layout: Layout | null, id: string): LayoutTile | null {
  for (const region of layout?.regions ?? []) {
    const tile = region.tiles.find((candidate) => candidate.id === id);
    if (tile) return tile;
  }
  return null;
}

/** True where that is the layout of a 409 answer. */
export function isLayout(value: unknown): value is Layout {
  const layout = value as Layout | null;
  return typeof layout?.version === 'number' && Array.isArray(layout.regions);
}

/** The changes that make the screens' own regions what they were when they were saved: to ask what would come of it. */
export function changesTo(now: Layout | null, wanted: readonly Region[]): Change[] {
  const changes: Change[] = [];
  for (const region of wanted) {
    if (region.screens.length !== 1 || !now?.regions.some((r) => r.id === region.id)) continue;
    changes.push({ op: 'arrange', region: region.id, arrangement: region.arrangement });
    for (const tile of region.tiles) {
      if (tile.camera) changes.push({ op: 'show', tile: tile.id, camera: tile.camera });
    }
  }
  return changes;
}

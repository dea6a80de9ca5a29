// Where things are: tiles on screens, screens on the wall, the part of a picture that is shown. Pure.
import type { Rect } from '../api/types';

export interface Placed { id: string; rect: Rect }
export type Direction = 'left' | 'right' | 'up' | 'down';

export const centre = ([x, y, w, h]: Rect): [number, number] => [x + w / 2, y + h / 2];

export const contains = ([x, y, w, h]: Rect, px: number, py: number) => px >= x && py >= y && px < x + w && py < y + h;

/** The topmost thing under a point: later ones lie over earlier ones. */
export function under<T extends Placed>(things: readonly T[], px: number, py: number): T | null {
  for (let i = things.length - 1; i >= 0; i--) {
    const thing = things[i]!;
    if (contains(thing.rect, px, py)) return thing;
  }
  return null;
}

/** The largest rectangle of this shape in the middle of a box, as `object-fit: contain` draws it. */
export function contained(box: [number, number], shape: [number, number]): Rect {
  const scale = Math.min(box[0] / shape[0], box[1] / shape[1]);
  if (!Number.isFinite(scale) || scale <= 0) return [0, 0, 0, 0];
  const [w, h] = [shape[0] * scale, shape[1] * scale];
  return [(box[0] - w) / 2, (box[1] - h) / 2, w, h];
}

/** The shape that is taken until a picture tells its own. */
export const WIDE = 16 / 9;

/** Width for height of a picture; what was known before, where it has none yet. */
export function shapeOf([width, height]: [number, number], known: number): number {
  return width > 0 && height > 0 ? width / height : known;
}

/**
 * The next thing in a direction, as an arrow key finds it: what begins beyond this one's middle,
 * nearest along the way, with sideways distance counted double. `null` at the edge.
 */
export function neighbour<T extends Placed>(things: readonly T[], from: string, direction: Direction): T | null {
  const start = things.find((thing) => thing.id === from);
  if (!start) return things[0] ?? null;
  const [sx, sy] = centre(start.rect);
  const horizontal = direction === 'left' || direction === 'right';
  const sign = direction === 'right' || direction === 'down' ? 1 : -1;
  let best: T | null = null;
  let least = Infinity;
  for (const thing of things) {
    if (thing.id === from) continue;
    const [cx, cy] = centre(thing.rect);
    const along = (horizontal ? cx - sx : cy - sy) * sign;
    if (along <= 0.5) continue;
    const aside = gap(
      horizontal ? [start.rect[1], start.rect[3]] : [start.rect[0], start.rect[2]],
      horizontal ? [thing.rect[1], thing.rect[3]] : [thing.rect[0], thing.rect[2]],
    );
    const offset = Math.abs(horizontal ? cy - sy : cx - sx);
    const distance = along + 2 * aside + offset / 1000 + (aside > 0 ? 1e6 : 0);
    if (distance < least) {
      least = distance;
      best = thing;
    }
  }
  return best;
}

function gap([a, la]: [number, number], [b, lb]: [number, number]): number {
  return Math.max(0, Math.max(a, b) - Math.min(a + la, b + lb) + 0.001);
}

export interface Hung { id: string; x: number; y: number; width: number; height: number }

/**
 * Where screens hang, in parts of the wall (0 to 1), and the wall's shape (width / height).
 * Screens that would lie over each other (nobody stated their places) are laid out in rows instead, so that the
 * wall is about twice as wide as high.
 */
export function hang(screens: readonly Hung[]): { places: Placed[]; shape: number } {
  if (screens.length === 0) return { places: [], shape: 16 / 9 };
  const stated = new Set(screens.map((s) => `${s.x} ${s.y}`)).size === screens.length;
  const raw: Placed[] = stated
    ? screens.map((s) => ({ id: s.id, rect: [s.x, s.y, s.width, s.height] }))
    : inRows(screens);
  const left = Math.min(...raw.map((p) => p.rect[0]));
  const top = Math.min(...raw.map((p) => p.rect[1]));
  const width = Math.max(...raw.map((p) => p.rect[0] + p.rect[2])) - left;
  const height = Math.max(...raw.map((p) => p.rect[1] + p.rect[3])) - top;
  return {
    places: raw.map(({ id, rect: [x, y, w, h] }) => ({ id, rect: [(x - left) / width, (y - top) / height, w / width, h / height] })),
    shape: width / height,
  };
}

function inRows(screens: readonly Hung[]): Placed[] {
  const columns = screens.length <= 4 ? screens.length : Math.ceil(screens.length / Math.round(Math.sqrt(screens.length / 2)));
  const width = Math.max(...screens.map((s) => s.width));
  const height = Math.max(...screens.map((s) => s.height));
  return screens.map((s, i) => ({
    id: s.id,
    rect: [(i % columns) * width * 1.02, Math.floor(i / columns) * height * 1.03, s.width, s.height],
  }));
}

/** The smallest part of a picture that digital zoom shows: a tenth each way. */
export const SMALLEST_CROP = 0.1;
export const WHOLE: Rect = [0, 0, 1, 1];

const round = (value: number) => Math.round(value * 10_000) / 10_000;

/** `null` where it is the whole picture. */
export function normalised([x, y, w, h]: Rect): Rect | null {
  const width = Math.min(1, Math.max(SMALLEST_CROP, w));
  const height = Math.min(1, Math.max(SMALLEST_CROP, h));
  const crop: Rect = [
    round(Math.min(1 - width, Math.max(0, x))),
    round(Math.min(1 - height, Math.max(0, y))),
    round(width),
    round(height),
  ];
  return crop[2] > 0.995 && crop[3] > 0.995 ? null : crop;
}

/** Zooms by `factor` (above 1: closer) about a point of the tile, in parts of it; that point stays where it is. */
export function zoomed(crop: Rect | null, factor: number, px = 0.5, py = 0.5): Rect | null {
  const [x, y, w, h] = crop ?? WHOLE;
  const side = Math.min(1, Math.max(SMALLEST_CROP, Math.max(w, h) / factor));
  const width = Math.min(1, Math.max(SMALLEST_CROP, (w / Math.max(w, h)) * side));
  const height = Math.min(1, Math.max(SMALLEST_CROP, (h / Math.max(w, h)) * side));
  return normalised([x + px * (w - width), y + py * (h - height), width, height]);
}

/** Moves the shown part by parts of itself. */
export function panned(crop: Rect | null, dx: number, dy: number): Rect | null {
  const [x, y, w, h] = crop ?? WHOLE;
  return normalised([x + dx * w, y + dy * h, w, h]);
}

/** The rectangle between two points, in either order, within 0 to 1. */
export function spanned(x1: number, y1: number, x2: number, y2: number): Rect {
  const clamp = (v: number) => Math.min(1, Math.max(0, v));
  const [a, b, c, d] = [clamp(x1), clamp(y1), clamp(x2), clamp(y2)];
  return [round(Math.min(a, c)), round(Math.min(b, d)), round(Math.abs(c - a)), round(Math.abs(d - b))];
}

/** The convex hull of points, counter-clockwise (Andrew's monotone chain). */
export function hull(points: readonly [number, number][]): [number, number][] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  if (sorted.length < 3) return sorted;
  const turn = (o: [number, number], a: [number, number], b: [number, number]) =>
    (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (list: [number, number][]) => {
    const chain: [number, number][] = [];
    for (const p of list) {
      while (chain.length >= 2 && turn(chain[chain.length - 2]!, chain[chain.length - 1]!, p) <= 0) chain.pop();
      chain.push(p);
    }
    chain.pop();
    return chain;
  };
  return [...half(sorted), ...half([...sorted].reverse())];
}

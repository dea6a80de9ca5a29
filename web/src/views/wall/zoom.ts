// Digital zoom of a tile: many small movements, few changes on the wall.
import { signal } from '@preact/signals';
import type { Rect } from '../../api/types';
import { tileIn } from '../../layout/conflict';
import { panned, zoomed } from '../../layout/geometry';
import { apply } from '../../state/commands';
import { layout } from '../../state/wall';

/** The tile whose picture wheel, drag and arrow keys move now. */
export const zooming = signal<string | null>(null);

const EVERY_MS = 250;
let wanted: { tile: string; crop: Rect | null } | null = null;
let sending = false;

const present = (tile: string): Rect | null => (wanted?.tile === tile ? wanted.crop : (tileIn(layout.value, tile)?.crop ?? null));

export const zoomBy = (tile: string, factor: number, px?: number, py?: number) => want(tile, zoomed(present(tile), factor, px, py));
export const panBy = (tile: string, dx: number, dy: number) => want(tile, panned(present(tile), dx, dy));
export const zoomOut = (tile: string) => want(tile, null);

function want(tile: string, crop: Rect | null) {
  if (JSON.stringify(crop) === JSON.stringify(present(tile))) return;
  wanted = { tile, crop };
  if (!sending) void run();
}

async function run() {
  sending = true;
  while (wanted) {
    const now = wanted;
    await apply([{ op: 'crop', tile: now.tile, crop: now.crop }]);
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    if (wanted === now) wanted = null;
  }
  sending = false;
}

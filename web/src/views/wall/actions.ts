// What can be done to one tile, by button, key or double-click: one place, so that all three do the same.
import { signal } from '@preact/signals';
import type { Fit, Rect } from '../../api/types';
import { t } from '../../i18n';
import { tileIn } from '../../layout/conflict';
import { change } from '../../state/commands';
import { say } from '../../state/notices';
import { byId } from '../../state/registry';
import { may } from '../../state/session';
import { layout, screens } from '../../state/wall';
import { pick } from './hand';
import { zooming } from './zoom';

/** Which dialog of the wall is open, and for what. */
export type Open =
  | { kind: 'snapshot'; of: 'tile' | 'screen'; id: string }
  | { kind: 'ptz'; camera: string }
  | { kind: 'span' }
  | { kind: 'save-layout' }
  | { kind: 'tour'; id: string | null }
  | { kind: 'rules' }
  | { kind: 'incident' };
export const open = signal<Open | null>(null);

const FITS: Fit[] = ['contain', 'cover', 'stretch'];

export function tileAction(action: string, id: string) {
  const wish = tileIn(layout.value, id);
  const seen = screens.value.flatMap((s) => s.tiles).find((tile) => tile.id === id);
  if (!wish || !seen) return;
  if (wish.locked && !['lock', 'snapshot', 'move', 'zoom'].includes(action)) return say(t('wall.isLocked', { tile: id }), 'warn');
  switch (action) {
    case 'clear':
      if (wish.camera) void change([{ op: 'clear', tile: id }], t('wall.clear'));
      break;
    case 'pin':
      void change([{ op: 'pin', tile: id, pinned: !wish.pinned }], t('wall.pin'));
      break;
    case 'lock':
      void change([{ op: 'lock', tile: id, locked: !wish.locked }], t('wall.lock'));
      break;
    case 'spotlight':
      void change([{ op: 'spotlight', tile: id, on: !spotlit(id) }], t('wall.spotlight'));
      break;
    case 'swap':
      if (wish.camera) pick({ kind: 'tile', tile: id, name: seen.name ?? wish.camera });
      break;
    case 'fit':
      void change([{ op: 'fit', tile: id, fit: FITS[(FITS.indexOf(wish.fit) + 1) % FITS.length]! }], t('wall.fit'));
      break;
    case 'zoom':
      if (wish.locked) say(t('wall.isLocked', { tile: id }), 'warn');
      else if (wish.camera) zooming.value = zooming.value === id ? null : id;
      break;
    case 'snapshot':
      if (wish.camera && may('export')) open.value = { kind: 'snapshot', of: 'tile', id };
      break;
    case 'move':
      if (wish.camera && may('move-camera') && byId.value.get(wish.camera)?.onvif) open.value = { kind: 'ptz', camera: wish.camera };
      break;
    case 'grow-right':
    case 'grow-left':
    case 'grow-down':
    case 'grow-up': {
      const at = grown(id, action);
      if (at) void change([{ op: 'place', tile: id, at }], t('wall.place'));
      else say(t('wall.cannotGrow'), 'warn');
    }
  }
}

/** True where a tile covers its region by a spotlight. */
export function spotlit(id: string): boolean {
  return layout.value?.regions.some((r) => r.spotlight === id) ?? false;
}

/** The cells that a tile covers after it grew (right, down) or shrank (left, up) by one; null where that cannot be. */
export function grown(id: string, action: string): Rect | null {
  const region = layout.value?.regions.find((r) => r.tiles.some((tile) => tile.id === id));
  const grid = /^(\d+)x(\d+)$/.exec(region?.arrangement ?? '');
  const wish = tileIn(layout.value, id);
  if (!region || !grid || !wish) return null;
  const [columns, rows] = [Number(grid[1]), Number(grid[2])];
  const index = region.tiles.findIndex((tile) => tile.id === id);
  const [x, y, w, h] = wish.at ?? shownAt(id, columns, rows) ?? [index % columns, Math.floor(index / columns), 1, 1];
  const next: Rect =
    action === 'grow-right' ? [x, y, w + 1, h] : action === 'grow-left' ? [x, y, w - 1, h] : action === 'grow-down' ? [x, y, w, h + 1] : [x, y, w, h - 1];
  if (next[2] < 1 || next[3] < 1 || next[0] + next[2] > columns || next[1] + next[3] > rows) return null;
  return next;
}

function shownAt(id: string, columns: number, rows: number): Rect | null {
  const on = screens.value.filter((s) => s.tiles.some((tile) => tile.id === id));
  const only = on[0];
  if (!only || on.length > 1) return null;
  const [x, y, w, h] = only.tiles.find((tile) => tile.id === id)!.rect;
  const [cw, ch] = [only.width / columns, only.height / rows];
  return [Math.round(x / cw), Math.round(y / ch), Math.max(1, Math.round(w / cw)), Math.max(1, Math.round(h / ch))];
}

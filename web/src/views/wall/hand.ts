// What the operator has in hand: a camera or a tile, picked up by pointer or by keyboard, to be put on a tile.
import { signal } from '@preact/signals';
import { t } from '../../i18n';
import { change } from '../../state/commands';
import { say } from '../../state/notices';
import { layout, screen, screens, tileId } from '../../state/wall';
import { tileIn } from '../../layout/conflict';
import { under } from '../../layout/geometry';

export type Held = { kind: 'camera'; camera: string; name: string } | { kind: 'tile'; tile: string; name: string };

/** Picked up by keyboard: waits for a tile to be chosen. */
export const held = signal<Held | null>(null);
/** Picked up by pointer: follows it. */
export const dragged = signal<{ what: Held; x: number; y: number; over: string | null } | null>(null);

export function pick(what: Held) {
  held.value = what;
  const id = tileId.value ?? screen.value?.tiles[0]?.id ?? null;
  tileId.value = id;
  // At once: the next key may come before the next frame.
  if (id) document.querySelector<HTMLElement>(`[data-tile="${CSS.escape(id)}"]`)?.focus();
}

export function drop() {
  held.value = null;
}

/** Puts what is in hand on a tile. */
export function put(what: Held, target: string) {
  held.value = null;
  const there = tileIn(layout.value, target);
  if (there?.locked) return say(t('wall.isLocked', { tile: target }), 'warn');
  tileId.value = target;
  if (what.kind === 'camera') void change([{ op: 'show', tile: target, camera: what.camera }], t('wall.showing', { name: what.name }));
  else if (what.tile !== target) void change([{ op: 'swap', a: what.tile, b: target }], t('wall.swapping'));
}

const FAR = 6;

/** Begins a drag on pointer down; a press without movement stays a click. */
export function startDrag(event: PointerEvent, what: Held) {
  if (event.button !== 0) return;
  const [x0, y0] = [event.clientX, event.clientY];
  let moving = false;
  const move = (e: PointerEvent) => {
    if (!moving && Math.hypot(e.clientX - x0, e.clientY - y0) < FAR) return;
    moving = true;
    document.body.classList.add('dragging');
    dragged.value = { what, x: e.clientX, y: e.clientY, over: tileAt(e.clientX, e.clientY) };
  };
  const end = () => {
    window.removeEventListener('pointermove', move);
    window.removeEventListener('pointerup', up);
    window.removeEventListener('pointercancel', end);
    window.removeEventListener('keydown', key, true);
    document.body.classList.remove('dragging');
    dragged.value = null;
  };
  const up = (e: PointerEvent) => {
    end();
    if (!moving) return;
    // The click that follows a drag is none.
    const swallow = (click: MouseEvent) => click.stopPropagation();
    window.addEventListener('click', swallow, { capture: true, once: true });
    setTimeout(() => window.removeEventListener('click', swallow, { capture: true }), 0);
    const target = tileAt(e.clientX, e.clientY);
    if (target) put(what, target);
  };
  const key = (e: KeyboardEvent) => {
    if (e.key !== 'Escape') return;
    e.preventDefault();
    e.stopPropagation();
    end();
  };
  window.addEventListener('pointermove', move);
  window.addEventListener('pointerup', up);
  window.addEventListener('pointercancel', end);
  window.addEventListener('keydown', key, true);
}

/** The tile under a point of the page: one of the stage, or one of a small screen of the overview. */
export function tileAt(x: number, y: number): string | null {
  const element = document.elementFromPoint(x, y)?.closest<HTMLElement>('[data-tile],[data-screen]');
  if (!element) return null;
  if (element.dataset.tile) return element.dataset.tile;
  const target = screens.value.find((s) => s.id === element.dataset.screen);
  if (!target) return null;
  const box = element.getBoundingClientRect();
  return under(target.tiles, ((x - box.left) / box.width) * target.width, ((y - box.top) / box.height) * target.height)?.id ?? null;
}

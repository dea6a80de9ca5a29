// What a tile says: the state of its camera, and what the wall does with it.
import type { WallTile } from '../../api/types';
import { duration, number, t, word } from '../../i18n';
import { tileNow } from '../../state/cameras';
import { ageText, reasonText, stateWord } from '../../ui/state';

export function levelText(tile: WallTile): string {
  if (tile.px_per_m === null || tile.px_per_m === undefined) return t('wall.levelUnknown');
  return `${tile.level ? word('level', tile.level) : t('wall.levelNone')} · ${number(tile.px_per_m)} px/m`;
}

/** Everything of a tile in one line, as a screen reader says it. */
export function spoken(tile: WallTile, index: number): string {
  const now = tileNow(tile);
  const parts = [t('wall.tileNumber', { number: index + 1 }), tile.camera ? (tile.name ?? tile.camera) : t('state.empty')];
  if (tile.camera) {
    parts.push(stateWord(now));
    const why = reasonText(now);
    if (why) parts.push(why);
    if (now.state !== 'live' && ageText(now)) parts.push(t('wall.agedBy', { age: duration(now.age_ms!) }));
    if (tile.degraded && now.state !== 'unknown') parts.push(t('wall.degraded'));
  }
  if (tile.pinned) parts.push(t('wall.pinned'));
  if (tile.locked) parts.push(t('wall.locked'));
  if (tile.alarm) parts.push(t('wall.alarm'));
  return parts.join(', ');
}

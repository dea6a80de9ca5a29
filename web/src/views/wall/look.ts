// How a tile's state looks and reads: a shape, a tone and a word for each.
import type { WallTile } from '../../api/types';
import { duration, number, t, word } from '../../i18n';
import { refusalText } from '../../state/commands';

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
};

export function lookOf(tile: WallTile): Look {
  if (!tile.camera) return LOOKS.empty!;
  return LOOKS[tile.state] ?? { icon: 'waiting', tone: 'wait' };
}

export const stateWord = (tile: WallTile) => word('state', tile.camera ? tile.state : 'empty');

/** The reason in the person's language where it is one of the words of the contract. */
export const reasonText = (tile: WallTile) => (tile.refusal ? refusalText(tile.refusal) : (tile.reason ?? ''));

export function levelText(tile: WallTile): string {
  if (tile.px_per_m === null || tile.px_per_m === undefined) return t('wall.levelUnknown');
  return `${tile.level ? word('level', tile.level) : t('wall.levelNone')} · ${number(tile.px_per_m)} px/m`;
}

/** Everything of a tile in one line, as a screen reader says it. */
export function spoken(tile: WallTile, index: number): string {
  const parts = [t('wall.tileNumber', { number: index + 1 }), tile.camera ? (tile.name ?? tile.camera) : t('state.empty')];
  if (tile.camera) {
    parts.push(stateWord(tile));
    if (tile.reason || tile.refusal) parts.push(reasonText(tile));
    if (tile.age_ms !== null && tile.state !== 'live') parts.push(t('wall.agedBy', { age: duration(tile.age_ms) }));
    if (tile.degraded) parts.push(t('wall.degraded'));
  }
  if (tile.pinned) parts.push(t('wall.pinned'));
  if (tile.locked) parts.push(t('wall.locked'));
  if (tile.alarm) parts.push(t('wall.alarm'));
  return parts.join(', ');
}

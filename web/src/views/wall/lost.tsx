// Pictures of a screen that never got out.
import type { WallScreen } from '../../api/types';
import { number, t } from '../../i18n';
import { Mark } from '../../ui/bits';

/** What never got out, by who lost it: since the start, and in amber while it goes on. */
export function Lost({ screen: now }: { screen: WallScreen }) {
  const parts = [now.dropped > 0 && t('wall.dropped', { count: number(now.dropped) }), now.missed > 0 && t('wall.missed', { count: number(now.missed) })].filter(Boolean);
  if (parts.length === 0) return null;
  const lately = now.lately.dropped + now.lately.missed;
  const text = parts.join(' · ');
  return <span class="lost" title={t('wall.lostSince')}>{lately > 0 ? <Mark tone="old" icon="old">{text}</Mark> : text}</span>;
}

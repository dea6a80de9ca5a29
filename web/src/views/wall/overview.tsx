// All screens of the wall, small, where they hang; each a picture about once a second while it can be seen.
import { useRef } from 'preact/hooks';
import type { WallScreen } from '../../api/types';
import { t } from '../../i18n';
import { neighbour } from '../../layout/geometry';
import { lookOf, tileNow, trusted } from '../../state/cameras';
import { plane, screen, screenId, screens } from '../../state/wall';
import { Icon } from '../../ui/icons';
import { usePicture } from '../../ui/picture';
import { dragged } from './hand';

export function Overview() {
  const { places, shape } = plane.value;
  if (screens.value.length < 2) return null;
  const byId = new Map(screens.value.map((s) => [s.id, s]));
  const keydown = (event: KeyboardEvent) => {
    const direction = ({ ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' } as const)[event.key as 'ArrowLeft'];
    const next = direction && screen.value ? neighbour(places, screen.value.id, direction) : null;
    if (!next) return;
    event.preventDefault();
    screenId.value = next.id;
    document.querySelector<HTMLElement>(`[data-screen="${CSS.escape(next.id)}"]`)?.focus();
  };
  return (
    <div class="overview" style={{ '--shape': String(shape) }}>
      <div class="plane" role="group" aria-label={t('wall.screens')} onKeyDown={keydown} style={{ aspectRatio: String(shape) }}>
        {places.map(({ id, rect: [x, y, w, h] }) => {
          const shown = byId.get(id);
          return shown ? (
            <SmallScreen key={id} screen={shown} place={{ left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${h * 100}%` }} />
          ) : null;
        })}
      </div>
    </div>
  );
}

function SmallScreen({ screen: shown, place }: { screen: WallScreen; place: Record<string, string> }) {
  const ref = useRef<HTMLButtonElement>(null);
  const current = screen.value?.id === shown.id;
  const picture = usePicture(ref, `/wall/screens/${encodeURIComponent(shown.id)}/picture.jpg?width=320`, 1000);
  const filled = shown.tiles.filter((tile) => tile.camera);
  const live = filled.filter((tile) => tileNow(tile).state === 'live').length;
  const over = dragged.value?.over;
  return (
    <button
      type="button"
      ref={ref}
      class={`small-screen ${current ? 'current' : ''}`}
      data-screen={shown.id}
      style={place}
      tabIndex={current ? 0 : -1}
      aria-pressed={current}
      onClick={() => (screenId.value = shown.id)}
    >
      {picture.url ? <img src={picture.url} alt="" draggable={false} /> : <span class="no-picture">{picture.problem ? t('feed.none') : ''}</span>}
      {shown.tiles.map((tile) => {
        const look = lookOf(tileNow(tile));
        const marked = tile.camera && look.tone !== 'live';
        if (!marked && !tile.alarm && over !== tile.id) return null;
        const [x, y, w, h] = tile.rect;
        return (
          <span
            key={tile.id}
            class={`spot tone-${look.tone} ${tile.alarm ? 'alarmed' : ''} ${over === tile.id ? 'over' : ''}`}
            style={{ left: `${(x / shown.width) * 100}%`, top: `${(y / shown.height) * 100}%`, width: `${(w / shown.width) * 100}%`, height: `${(h / shown.height) * 100}%` }}
          >
            <Icon name={tile.alarm ? 'alarm' : look.icon} />
          </span>
        );
      })}
      <span class="unseen">{trusted.value ? t('wall.screenSpoken', { screen: shown.id, live, all: filled.length }) : `${shown.id}, ${t('state.unknown')}`}</span>
      <span class="screen-name" aria-hidden="true">
        {shown.id} {trusted.value && <small>{live}/{filled.length}</small>}
      </span>
    </button>
  );
}

// The chosen screen: its live picture, and over it a grid of tiles that are targets, buttons and explanations.
import { computed, signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { WallScreen, WallTile } from '../../api/types';
import { t, word } from '../../i18n';
import { neighbour, type Direction } from '../../layout/geometry';
import { tileIn } from '../../layout/conflict';
import { may } from '../../state/session';
import { layout, screen, tileId } from '../../state/wall';
import { Icon } from '../../ui/icons';
import { usePicture } from '../../ui/picture';
import { tileAction } from './actions';
import { dragged, drop, held, put, startDrag } from './hand';
import { sideShown } from './sides';
import { lookOf, tileNow, trusted } from '../../state/cameras';
import { reasonText, StateMark } from '../../ui/state';
import { levelText, spoken } from './look';
import { LiveScreen } from './whep';
import { panBy, zoomBy, zooming, zoomOut } from './zoom';

/** The tile under the pointer: what is said of it is said below the picture, not over it. */
const pointed = signal<string | null>(null);

export function Stage() {
  const now = screen.value;
  if (!now) return <div class="stage nothing">{t('wall.noScreen')}</div>;
  return (
    <>
      <div class="stage" style={{ '--shape': String(now.width / now.height) }}>
        <LivePicture key={now.id} screen={now} />
      </div>
      <TileLine screen={now} />
    </>
  );
}

/** One line of facts, always as high: of the tile that is pointed at, else of the chosen one. */
function TileLine({ screen: shown }: { screen: WallScreen }) {
  const find = (id: string | null) => shown.tiles.find((tile) => tile.id === id);
  const tile = find(pointed.value) ?? find(tileId.value);
  if (!tile) return <div class="tile-line" />;
  const now = tileNow(tile);
  const why = reasonText(now);
  const facts = trusted.value ? [tile.profile, word('effort', tile.effort), tile.degraded ? t('wall.degraded') : '', levelText(tile)] : [];
  return (
    <div class="tile-line" aria-hidden="true">
      <span class="line-number">{shown.tiles.indexOf(tile) + 1}</span>
      <b>{tile.camera ? (tile.name ?? tile.camera) : t('state.empty')}</b>
      {tile.camera && <StateMark now={now} aged />}
      {why && <span class="why">{why}</span>}
      {tile.camera && <span class="sub">{facts.filter(Boolean).join(' · ')}</span>}
    </div>
  );
}

function LivePicture({ screen: shown }: { screen: WallScreen }) {
  const video = useRef<HTMLVideoElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const [live, setLive] = useState<LiveScreen | null>(null);
  useEffect(() => {
    if (!video.current) return;
    const it = new LiveScreen(video.current, shown.id);
    setLive(it);
    return () => it.stop();
  }, [shown.id]);
  const feed = live?.feed.value ?? { mode: 'connecting' as const };
  const byPictures = feed.mode === 'pictures';
  const path = byPictures ? `/wall/screens/${encodeURIComponent(shown.id)}/picture.jpg?width=1280` : null;
  const picture = usePicture(frame, path, 1000);
  return (
    <div class="screen-frame" ref={frame} data-shown={feed.mode} data-ratio={shown.width / shown.height} style={{ aspectRatio: `${shown.width} / ${shown.height}` }}>
      <video ref={video} class={`live ${byPictures ? 'hidden' : ''}`} muted autoplay playsInline disablePictureInPicture aria-label={t('wall.liveOf', { screen: shown.id })} />
      {byPictures && picture.url && <img class="live" src={picture.url} alt={t('wall.pictureOf', { screen: shown.id })} />}
      {feed.mode === 'stopped' && <div class="standing">{t('wall.standing')}</div>}
      <FeedMark mode={byPictures && !picture.url ? 'none' : feed.mode} why={'why' in feed ? feed.why : ''} again={() => live?.again()} />
      {shown.trouble && <div class="standing">{t('wall.trouble', { why: shown.trouble })}</div>}
      <TileGrid screen={shown} />
    </div>
  );
}

function FeedMark({ mode, why, again }: { mode: 'connecting' | 'live' | 'pictures' | 'stopped' | 'none'; why: string; again: () => void }) {
  const icon = { connecting: 'waiting', live: 'live', pictures: 'old', stopped: 'old', none: 'offline' }[mode];
  const tone = { connecting: 'wait', live: 'live', pictures: 'old', stopped: 'old', none: 'bad' }[mode];
  return (
    <div class={`feed tone-${tone}`} role="status" data-feed={mode} title={why}>
      <Icon name={icon} />
      <span>{t(`feed.${mode}`)}</span>
      {(mode === 'pictures' || mode === 'none') && <button type="button" class="quiet small" onClick={again}>{t('feed.again')}</button>}
    </div>
  );
}

/** To what is known of the chosen tile; on a small screen it comes up first. */
function showPanel() {
  sideShown.value = 'tile';
  requestAnimationFrame(() => document.querySelector<HTMLElement>('.tile-panel')?.focus());
}

const ARROWS: Record<string, Direction> = { ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' };

function TileGrid({ screen: shown }: { screen: WallScreen }) {
  const digits = useRef({ text: '', at: 0 });
  const current = shown.tiles.some((tile) => tile.id === tileId.value) ? tileId.value : (shown.tiles[0]?.id ?? null);
  const focus = (id: string) => {
    tileId.value = id;
    document.querySelector<HTMLElement>(`[data-tile="${CSS.escape(id)}"]`)?.focus();
  };
  const keydown = (event: KeyboardEvent) => {
    if (!current || event.altKey || event.metaKey) return;
    const done = () => {
      event.preventDefault();
      event.stopPropagation();
    };
    const direction = ARROWS[event.key];
    if (direction) {
      done();
      if (zooming.value === current) {
        const step = 0.1;
        panBy(current, direction === 'left' ? -step : direction === 'right' ? step : 0, direction === 'up' ? -step : direction === 'down' ? step : 0);
      } else if (event.shiftKey) tileAction(`grow-${direction}`, current);
      else {
        const next = neighbour(shown.tiles, current, direction);
        if (next) focus(next.id);
      }
      return;
    }
    if (event.ctrlKey) return;
    if (zooming.value === current && ['+', '=', '-', '0'].includes(event.key)) {
      done();
      if (event.key === '0') zoomOut(current);
      else zoomBy(current, event.key === '-' ? 1 / 1.25 : 1.25);
      return;
    }
    if (/^\d$/.test(event.key)) {
      done();
      const now = Date.now();
      digits.current = { text: now - digits.current.at < 1200 ? digits.current.text + event.key : event.key, at: now };
      const chosen = shown.tiles[Number(digits.current.text) - 1] ?? shown.tiles[Number(event.key) - 1];
      if (chosen) focus(chosen.id);
      return;
    }
    if (event.key === 'Enter' || event.key === ' ') {
      done();
      if (held.value) put(held.value, current);
      else if (event.key === 'Enter') showPanel();
      return;
    }
    if (event.key === 'Escape') {
      done();
      if (zooming.value) zooming.value = null;
      else drop();
      return;
    }
    const action = TILE_KEYS[event.key.toLowerCase()];
    if (action && may('operate-wall')) {
      done();
      tileAction(action, current);
    }
  };
  return (
    <div class={`tiles ${held.value ? 'choosing' : ''} ${shown.tiles.length > 36 ? 'many' : ''}`} role="group" aria-label={t('wall.tilesOf', { screen: shown.id })} onKeyDown={keydown}>
      {shown.tiles.map((tile, index) => (
        <Tile key={tile.id} tile={tile} index={index} screen={shown} current={tile.id === current} />
      ))}
    </div>
  );
}

/** The keys of a focused tile. */
export const TILE_KEYS: Record<string, string> = {
  s: 'spotlight', p: 'pin', l: 'lock', delete: 'clear', backspace: 'clear', x: 'swap', z: 'zoom', c: 'snapshot', m: 'move', f: 'fit',
};

function Tile({ tile, index, screen: shown, current }: { tile: WallTile; index: number; screen: WallScreen; current: boolean }) {
  const now = tileNow(tile);
  const look = lookOf(now);
  const crop = useMemo(() => computed(() => tileIn(layout.value, tile.id)?.crop ?? null), [tile.id]).value;
  const [x, y, w, h] = tile.rect;
  const over = dragged.value?.over === tile.id;
  const zoomMode = zooming.value === tile.id;
  const panFrom = useRef<{ x: number; y: number } | null>(null);
  const place = {
    left: `${(x / shown.width) * 100}%`, top: `${(y / shown.height) * 100}%`,
    width: `${(w / shown.width) * 100}%`, height: `${(h / shown.height) * 100}%`,
  };
  return (
    <button
      type="button"
      class={`tile tone-${look.tone} ${current ? 'current' : ''} ${over ? 'over' : ''} ${tile.alarm ? 'alarmed' : ''} ${zoomMode ? 'zooming' : ''}`}
      data-tile={tile.id}
      data-state={now.state}
      data-camera={tile.camera ?? ''}
      tabIndex={current ? 0 : -1}
      aria-label={spoken(tile, index)}
      aria-pressed={current}
      style={place}
      onFocus={() => (tileId.value = tile.id)}
      onPointerEnter={() => (pointed.value = tile.id)}
      onPointerLeave={() => pointed.value === tile.id && (pointed.value = null)}
      onClick={() => {
        tileId.value = tile.id;
        if (held.value) put(held.value, tile.id);
      }}
      onDblClick={() => may('operate-wall') && !zoomMode && tileAction('spotlight', tile.id)}
      onPointerDown={(event) => {
        if (zoomMode) {
          panFrom.current = { x: event.clientX, y: event.clientY };
          event.currentTarget.setPointerCapture(event.pointerId);
        } else if (tile.camera && may('operate-wall')) startDrag(event, { kind: 'tile', tile: tile.id, name: tile.name ?? tile.camera });
      }}
      onPointerMove={(event) => {
        if (!zoomMode || !panFrom.current) return;
        const box = event.currentTarget.getBoundingClientRect();
        panBy(tile.id, (panFrom.current.x - event.clientX) / box.width, (panFrom.current.y - event.clientY) / box.height);
        panFrom.current = { x: event.clientX, y: event.clientY };
      }}
      onPointerUp={() => (panFrom.current = null)}
      onWheel={(event) => {
        if (!zoomMode) return;
        event.preventDefault();
        const box = event.currentTarget.getBoundingClientRect();
        zoomBy(tile.id, event.deltaY < 0 ? 1.15 : 1 / 1.15, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
      }}
    >
      <span class="number">{index + 1}</span>
      {tile.camera && <span class="tile-name" title={tile.name ?? tile.camera}>{tile.name ?? tile.camera}</span>}
      <span class="signs">
        {tile.alarm && <span class="alarm-sign"><Icon name="alarm" /></span>}
        {tile.pinned && <Icon name="pin" />}
        {tile.locked && <Icon name="lock" />}
        {crop && <Icon name="zoom" />}
        {tile.camera && look.tone !== 'live' && <Icon name={look.icon} />}
      </span>
    </button>
  );
}

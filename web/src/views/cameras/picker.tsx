// The cameras to choose from: tree, list or map, searched as one types, thousands of them.
import { signal } from '@preact/signals';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { number, t } from '../../i18n';
import { loaded, readRegistry, rows, search, siteName, treeLines, zoneName, type Row, type TreeLine } from '../../state/registry';
import { attempt } from '../../state/notices';
import { may } from '../../state/session';
import { cameraNow, isPictured, lookOf, mayStand, shownOn } from '../../state/cameras';
import { wall } from '../../state/wall';
import { Icon } from '../../ui/icons';
import { usePicture } from '../../ui/picture';
import { Empty, useRem } from '../../ui/bits';
import { ageText, StateMark, stateWord } from '../../ui/state';
import { held, pick, startDrag } from '../wall/hand';
import { CameraMap } from './map';

type Shape = 'tree' | 'list' | 'map';
const shape = signal<Shape>('tree');
const text = signal('');
/** Zones and sites that the person opened or closed against what is usual for their number. */
const turned = signal<ReadonlySet<string>>(new Set());

/** Up to so many cameras, every branch is open at first. */
const FEW = 120;

/** With `choose`, a camera is opened; without, it is taken in hand for the wall. */
export function CameraPicker({ choose, chosen, big }: { choose?: (row: Row) => void; chosen?: string | null; big?: boolean }) {
  useEffect(() => {
    if (!loaded.value) void attempt(readRegistry);
  }, []);
  const wanted = text.value.trim();
  const everything = rows.value;
  const list = useMemo(() => search(everything, wanted), [everything, wanted]);
  const take = (row: Row) => (choose ? choose(row) : may('operate-wall') && pick({ kind: 'camera', camera: row.id, name: row.name }));
  return (
    <section class={`picker ${big ? 'big' : ''}`} aria-label={t('nav.cameras')}>
      <div class="picker-head">
        <input
          type="search"
          value={text.value}
          placeholder={t('cameras.search')}
          aria-label={t('cameras.search')}
          autocomplete="off"
          spellcheck={false}
          onInput={(e) => (text.value = e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === 'ArrowDown' || e.key === 'Enter') {
              e.preventDefault();
              document.querySelector<HTMLElement>('.picker [role="tree"], .picker [role="listbox"]')?.focus();
            } else if (e.key === 'Escape' && text.value) {
              e.preventDefault();
              e.stopPropagation();
              text.value = '';
            }
          }}
        />
        <div class="tabs" role="group" aria-label={t('cameras.shape')}>
          {(['tree', 'list', 'map'] as const).map((s) => (
            <button key={s} type="button" class={shape.value === s ? 'on' : ''} aria-pressed={shape.value === s} onClick={() => (shape.value = s)}>{t(`cameras.${s}`)}</button>
          ))}
        </div>
        <p class="sub" role="status">{loaded.value ? t('cameras.count', { found: number(list.length), all: number(everything.length) }) : t('common.loading')}</p>
      </div>
      {shape.value === 'map' ? (
        <CameraMap list={list} take={take} chosen={chosen ?? null} />
      ) : (
        <Lines list={list} as={shape.value} searching={wanted.length > 0} take={take} chosen={chosen ?? null} big={!!big} />
      )}
    </section>
  );
}

function Lines({ list, as, searching, take, chosen, big }: { list: Row[]; as: 'tree' | 'list'; searching: boolean; take: (row: Row) => void; chosen: string | null; big: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const usuallyOpen = list.length <= FEW;
  const turn = turned.value;
  const lines = useMemo<TreeLine[]>(
    () =>
      as === 'list'
        ? list.map((row) => ({ kind: 'camera', key: row.id, row, depth: 1 }))
        : treeLines(list, (key) => (usuallyOpen || (searching && key.startsWith('z:'))) !== turn.has(key), t('cameras.noZone')),
    [list, as, turn, searching, usuallyOpen],
  );
  // After a search, Enter is to take the first camera found, not to close its zone.
  useEffect(() => setActive(searching ? Math.max(0, lines.findIndex((line) => line.kind === 'camera')) : 0), [list, as]);
  // Two lines of text and a picture, in letters of any size.
  const height = Math.round(Math.max(big ? 64 : 52, (big ? 4 : 3.6) * useRem()));
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => box.current, estimateSize: () => height, overscan: 6, getItemKey: (i) => lines[i]?.key ?? i });
  useEffect(() => virtual.measure(), [height]);
  const at = Math.min(active, lines.length - 1);
  const toggle = (key: string) => {
    const next = new Set(turned.value);
    if (next.has(key)) next.delete(key);
    else next.add(key);
    turned.value = next;
  };
  const goTo = (index: number) => {
    const to = Math.max(0, Math.min(lines.length - 1, index));
    setActive(to);
    virtual.scrollToIndex(to);
  };
  const keydown = (event: KeyboardEvent) => {
    const line = lines[at];
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? 400) / height) - 1);
    const moves: Record<string, () => void> = {
      ArrowDown: () => goTo(at + 1),
      ArrowUp: () => goTo(at - 1),
      PageDown: () => goTo(at + page),
      PageUp: () => goTo(at - page),
      Home: () => goTo(0),
      End: () => goTo(lines.length - 1),
      ArrowRight: () => line && line.kind !== 'camera' && (line.open ? goTo(at + 1) : toggle(line.key)),
      ArrowLeft: () => line && (line.kind !== 'camera' && line.open ? toggle(line.key) : goTo(lastIndex(lines, at, line))),
      Enter: () => line && (line.kind === 'camera' ? take(line.row) : toggle(line.key)),
      ' ': () => line && (line.kind === 'camera' ? take(line.row) : toggle(line.key)),
    };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  };
  const tree = as === 'tree';
  return (
    <div class="lines-box">
      <div
        ref={box}
        class="lines"
        role={tree ? 'tree' : 'listbox'}
        aria-label={t('nav.cameras')}
        tabIndex={0}
        aria-activedescendant={lines[at] ? `line-${at}` : undefined}
        onKeyDown={keydown}
      >
        <div class="lines-inner" role="presentation" style={{ height: `${virtual.getTotalSize()}px` }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            if (!line) return null;
            return (
              <Line
                key={item.key}
                id={`line-${item.index}`}
                line={line}
                tree={tree}
                top={item.start}
                height={height}
                current={item.index === at}
                chosen={line.kind === 'camera' && (line.row.id === chosen || (held.value?.kind === 'camera' && held.value.camera === line.row.id))}
                position={item.index + 1}
                all={lines.length}
                press={() => {
                  setActive(item.index);
                  if (line.kind === 'camera') take(line.row);
                  else toggle(line.key);
                }}
              />
            );
          })}
        </div>
      </div>
      {lines.length === 0 && loaded.value && <Empty>{t('cameras.noneFound')}</Empty>}
    </div>
  );
}

function lastIndex(lines: TreeLine[], from: number, line: TreeLine): number {
  if (line.kind === 'zone') return from;
  for (let i = from - 1; i >= 0; i--) {
    const other = lines[i]!;
    if (other.kind === 'zone' || (other.kind === 'site' && line.kind === 'camera')) return i;
  }
  return from;
}

function Line({ id, line, tree, top, height, current, chosen, position, all, press }: {
  id: string; line: TreeLine; tree: boolean; top: number; height: number; current: boolean; chosen: boolean; position: number; all: number; press: () => void;
}) {
  const role = tree ? 'treeitem' : 'option';
  const level = line.kind === 'zone' ? 1 : line.kind === 'site' ? 2 : line.depth + 1;
  const style = { transform: `translateY(${top}px)`, height: `${height}px` };
  const shared = {
    id, role, style, 'aria-selected': chosen, 'aria-setsize': all, 'aria-posinset': position,
    ...(tree ? { 'aria-level': level } : {}),
  } as const;
  if (line.kind !== 'camera') {
    return (
      <div {...shared} class={`line branch level-${level} ${current ? 'current' : ''}`} aria-expanded={line.open} onClick={press}>
        <Icon name={line.open ? 'down' : 'right'} />
        <span class="line-name">{line.name}</span>
        <span class="count">{number(line.count)}</span>
      </div>
    );
  }
  const { row } = line;
  const where = shownOn.value.get(row.id);
  const now = cameraNow(row.id);
  // The sign alone is enough for a live one; of any other the word and the age are said.
  const said = now && now.state !== 'unknown' && now.state !== 'live';
  return (
    <div
      {...shared}
      class={`line leaf level-${level} ${current ? 'current' : ''} ${chosen ? 'chosen' : ''}`}
      data-camera-row={row.id}
      data-state={now?.state}
      onClick={press}
      onPointerDown={(e) => may('operate-wall') && startDrag(e, { kind: 'camera', camera: row.id, name: row.name })}
    >
      <Thumbnail camera={row.id} />
      <span class="line-name" title={`${row.name} · ${row.id}`}>
        <span class="line-of">{row.name}</span>
        {said ? <StateMark now={now} aged={false} /> : <small>{tree ? row.id : [row.id, row.site && siteName(row.site), zoneName(row.zone)].filter(Boolean).join(' · ')}</small>}
      </span>
      {now && !said && <span class={`row-state tone-${lookOf(now).tone}`} title={stateWord(now)}><Icon name={lookOf(now).icon} label={stateWord(now)} /></span>}
      {where && <span class="on-wall" title={where.join(', ')}><Icon name="wall" label={t('cameras.onWall', { tiles: where.join(', ') })} /></span>}
    </div>
  );
}

/**
 * The newest key frame of a camera that is live or kept ready; of any other one no picture, but its state. What is
 * asked for comes only once the row stands still in view. `asSent`: as the camera sends it, not set upright.
 * `seen`: told of each picture that is shown.
 */
export function Thumbnail({ camera, width = 160, large = false, asSent = false, seen }: {
  camera: string; width?: number; large?: boolean; asSent?: boolean; seen?: (picture: HTMLImageElement) => void;
}) {
  const ref = useRef<HTMLSpanElement>(null);
  const now = cameraNow(camera);
  const allowed = may('view-wall') && !!wall.value?.incident;
  // Of a camera that is not open there is none; asking tells whether it may be seen at all.
  const ask = allowed && (now === null || now.state === 'unknown' || isPictured(now));
  const picture = usePicture(ref, ask ? `/cameras/${encodeURIComponent(camera)}/thumbnail.jpg?width=${width}${asSent ? '&upright=false' : ''}` : null, 15_000, 250);
  const look = now && !isPictured(now) ? lookOf(now) : null;
  const age = now && look ? ageText(now) : '';
  const shown = mayStand(now) ? picture.url : null;
  return (
    <span ref={ref} class={`thumbnail ${look ? `dark tone-${look.tone}` : ''} ${large ? 'large' : ''}`} data-pictured={shown && !look ? 'yes' : 'no'}>
      {shown && <img src={shown} alt="" draggable={false} onLoad={(e) => seen?.(e.currentTarget)} />}
      {look && <Icon name={look.icon} />}
      {look && (large || age) && <span class="thumbnail-word">{large ? [stateWord(now!), age].filter(Boolean).join(' · ') : age}</span>}
      {!look && !shown && <Icon name={picture.problem?.status === 403 ? 'refused' : 'camera'} />}
    </span>
  );
}

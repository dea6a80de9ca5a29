// Above the stage: what the screen is divided into, undo, and the wall's own doings.
import { useState } from 'preact/hooks';
import { number, t, word } from '../../i18n';
import { busy, change, redo, undo } from '../../state/commands';
import { may } from '../../state/session';
import { layout, screen, screens } from '../../state/wall';
import { trusted } from '../../state/cameras';
import { Mark } from '../../ui/bits';
import { Icon } from '../../ui/icons';
import { open } from './actions';
import { isSlower } from './admission';

export const ARRANGEMENTS = ['1', '2x2', '3x3', '4x4', '5x5', '6x6', '8x8', '1+5', '1+7', '2+8', '1+12'];

/** The region of the chosen screen that lies on top: a span over it, or its own. */
export function regionOf(id: string | undefined) {
  const regions = (layout.value?.regions ?? []).filter((r) => id !== undefined && r.screens.includes(id));
  return regions.find((r) => r.screens.length > 1) ?? regions[0] ?? null;
}

export function StageBar() {
  const now = screen.value;
  const region = regionOf(now?.id);
  const [own, setOwn] = useState(false);
  const arrange = (arrangement: string) => {
    if (region && arrangement !== region.arrangement) void change([{ op: 'arrange', region: region.id, arrangement }], t('wall.arrange', { arrangement }));
  };
  const known = region && (ARRANGEMENTS.includes(region.arrangement) ? ARRANGEMENTS : [...ARRANGEMENTS, region.arrangement]);
  return (
    <div class="stage-bar">
      <h2 class="screen-title">
        {now?.id}
        {region && region.screens.length > 1 && <span class="tag">{t('wall.spanOf', { screens: region.screens.join(' + ') })}</span>}
        {now && <small>{now.width}×{now.height}{trusted.value && ` · ${number(now.fps, 1)}/s`}</small>}
        {now && trusted.value && isSlower(now) && (
          <Mark tone="old" icon="old">{t('wall.slower', { step: word('step', now.step), rate: number(now.rate, 1), asked: number(now.asked_fps, 1) })}</Mark>
        )}
      </h2>
      {may('operate-wall') && region && known && (
        <>
          <label class="inline">
            <span>{t('wall.arrangement')}</span>
            <select
              value={own ? '…' : region.arrangement}
              disabled={busy.value}
              onChange={(e) => {
                const chosen = e.currentTarget.value;
                if (chosen === '…') setOwn(true);
                else arrange(chosen);
              }}
            >
              {known.map((a) => <option key={a} value={a} selected={a === region.arrangement}>{a.replace('x', ' × ')}</option>)}
              <option value="…">{t('wall.ownGrid')}</option>
            </select>
          </label>
          {own && <OwnGrid done={(a) => { setOwn(false); if (a) arrange(a); }} />}
          {screens.value.length > 1 && region.screens.length === 1 && <button type="button" onClick={() => (open.value = { kind: 'span' })}>{t('wall.span')}</button>}
          {region.screens.length > 1 && <button type="button" onClick={() => void change([{ op: 'unspan', region: region.id }], t('wall.unspan'))}>{t('wall.unspan')}</button>}
          <span class="pair">
            <button type="button" aria-label={t('wall.undo')} title={`${t('wall.undo')} (Ctrl+Z)`} onClick={() => void undo()}><Icon name="undo" /></button>
            <button type="button" aria-label={t('wall.redo')} title={`${t('wall.redo')} (Ctrl+Y)`} onClick={() => void redo()}><Icon name="redo" /></button>
          </span>
        </>
      )}
      {may('export') && now && (
        <button type="button" aria-label={t('wall.snapshotScreen')} title={t('wall.snapshotScreen')} onClick={() => (open.value = { kind: 'snapshot', of: 'screen', id: now.id })}>
          <Icon name="snapshot" /> <span class="wide-word">{t('wall.snapshotScreen')}</span>
        </button>
      )}
    </div>
  );
}

function OwnGrid({ done }: { done: (arrangement: string | null) => void }) {
  const [text, setText] = useState('');
  const right = /^([1-9]|1[0-6])\s*[x×]\s*([1-9]|1[0-6])$/.exec(text.trim());
  return (
    <form class="inline own-grid" onSubmit={(e) => { e.preventDefault(); if (right) done(`${right[1]}x${right[2]}`); }}>
      <input aria-label={t('wall.ownGrid')} placeholder="5x3" value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={(e) => e.key === 'Escape' && done(null)} />
      <button class="small" disabled={!right}>{t('common.apply')}</button>
    </form>
  );
}

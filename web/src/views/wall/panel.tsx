// What is known of the chosen tile, and what can be done with it.
import { duration, t, word } from '../../i18n';
import { lookOf, tileNow, trusted } from '../../state/cameras';
import { tileIn } from '../../layout/conflict';
import { may, personName } from '../../state/session';
import { layout, screen, tile } from '../../state/wall';
import { byId, zoneName } from '../../state/registry';
import { Mark } from '../../ui/bits';
import { reasonText, StateMark } from '../../ui/state';
import { Icon } from '../../ui/icons';
import { spotlit, tileAction } from './actions';
import { held } from './hand';
import { levelText } from './look';
import { zoomBy, zooming, zoomOut } from './zoom';

export function TilePanel() {
  const now = tile.value;
  if (!now) return <section class="panel tile-panel" tabIndex={-1} aria-label={t('wall.tile')}><p class="nothing">{t('wall.chooseTile')}</p></section>;
  const wish = tileIn(layout.value, now.id);
  const state = tileNow(now);
  const why = reasonText(state);
  const index = screen.value?.tiles.findIndex((other) => other.id === now.id) ?? 0;
  const act = (action: string) => () => tileAction(action, now.id);
  const waits = wish && wish.camera !== now.camera;
  return (
    <section class="panel tile-panel" tabIndex={-1} aria-label={t('wall.tile')}>
      <header>
        <span class="number large">{index + 1}</span>
        <div>
          <h2>{now.camera ? (now.name ?? now.camera) : t('state.empty')}</h2>
          <p class="sub">{[now.id, now.zone && zoneName(now.zone)].filter(Boolean).join(' · ')}</p>
        </div>
      </header>
      {now.camera && (
        <>
          <p class="state-line">
            <StateMark now={state} aged={false} />
            {state.age_ms != null && state.state !== 'refused' && <span class="age">{t('wall.age', { age: duration(state.age_ms) })}</span>}
          </p>
          {why && <p class={`why tone-${lookOf(state).tone}`}>{why}</p>}
          {waits && <p class="hint">{t('wall.onItsWay')}</p>}
          <dl class="facts-list">
            <dt>{t('wall.profile')}</dt>
            <dd>{(trusted.value && now.profile) || '–'}</dd>
            <dt>{t('wall.effort')}</dt>
            <dd>{trusted.value && now.effort ? word('effort', now.effort) : '–'}{trusted.value && now.degraded && <Mark tone="old" icon="old">{t('wall.degraded')}</Mark>}</dd>
            <dt>EN 62676-4</dt>
            <dd>{levelText(now)}</dd>
            {wish?.by && (<><dt>{t('wall.by')}</dt><dd>{personName(wish.by)}</dd></>)}
          </dl>
        </>
      )}
      {may('operate-wall') && (
        <div class="tile-actions" role="group" aria-label={t('wall.actions')}>
          <Act icon="spotlight" keyName="S" text={spotlit(now.id) ? t('wall.spotlightOff') : t('wall.spotlight')} run={act('spotlight')} disabled={!now.camera} on={spotlit(now.id)} />
          <Act icon="swap" keyName="X" text={t('wall.swap')} run={act('swap')} disabled={!now.camera} on={held.value?.kind === 'tile' && held.value.tile === now.id} />
          <Act icon="pin" keyName="P" text={t('wall.pin')} run={act('pin')} on={wish?.pinned} />
          <Act icon="lock" keyName="L" text={t('wall.lock')} run={act('lock')} on={wish?.locked} />
          <Act icon="zoom" keyName="Z" text={t('wall.zoom')} run={act('zoom')} disabled={!now.camera} on={zooming.value === now.id} />
          <Act icon="close" keyName="Del" text={t('wall.clear')} run={act('clear')} disabled={!now.camera} />
          {may('export') && <Act icon="snapshot" keyName="C" text={t('wall.snapshot')} run={act('snapshot')} disabled={!now.camera} />}
          {may('move-camera') && byId.value.get(now.camera ?? '')?.onvif && <Act icon="camera" keyName="M" text={t('wall.move')} run={act('move')} disabled={!now.camera} />}
        </div>
      )}
      {zooming.value === now.id && (
        <div class="zoom-bar" role="group" aria-label={t('wall.zoom')}>
          <button type="button" onClick={() => zoomBy(now.id, 1.25)} aria-label={t('wall.zoomIn')}><Icon name="plus" /></button>
          <button type="button" onClick={() => zoomBy(now.id, 1 / 1.25)} aria-label={t('wall.zoomOutStep')}><Icon name="minus" /></button>
          <button type="button" onClick={() => zoomOut(now.id)}>{t('wall.zoomWhole')}</button>
          <p class="hint">{t('wall.zoomHint')}</p>
        </div>
      )}
      {may('operate-wall') && now.camera && wish && (
        <div class="fits" role="group" aria-label={t('wall.fit')}>
          <span>{t('wall.fit')}</span>
          <button type="button" class="small" onClick={act('fit')}>{t(`fit.${wish.fit}`)}</button>
        </div>
      )}
    </section>
  );
}

function Act({ icon, keyName, text, run, disabled, on }: { icon: string; keyName: string; text: string; run: () => void; disabled?: boolean; on?: boolean }) {
  return (
    <button type="button" class={`act ${on ? 'on' : ''}`} disabled={disabled} aria-pressed={on === undefined ? undefined : on} onClick={run}>
      <Icon name={icon} />
      <span>{text}</span>
      <kbd aria-hidden="true">{keyName}</kbd>
    </button>
  );
}

// Cameras: tree, list and map, and one camera's facts, edited by those whose work it is.
import { useEffect, useState } from 'preact/hooks';
import { exchange, get, save } from '../../api/client';
import type { Camera } from '../../api/types';
import { number, t } from '../../i18n';
import { attempt } from '../../state/notices';
import { byId, siteName, zoneName } from '../../state/registry';
import { go, path } from '../../state/router';
import { may, me } from '../../state/session';
import { cameraNow, shownOn } from '../../state/cameras';
import { Mark } from '../../ui/bits';
import { Icon } from '../../ui/icons';
import { reasonText, StateMark } from '../../ui/state';
import { CredentialsDialog, DiscoveryDialog, EditDialog, ImportDialog } from './edit';
import { MasksDialog } from './masks';
import { CameraPicker, Thumbnail } from './picker';

type Open = 'edit' | 'new' | 'masks' | 'credentials' | 'import' | 'discovery' | null;

export const mayWrite = (zone: string | null | undefined) =>
  may('write-registry') && (me.value?.role !== 'zone-authority' || (zone != null && (me.value?.zones.includes(zone) ?? false)));

export function Cameras() {
  const chosen = path.value[1] ?? null;
  const [camera, setCamera] = useState<Camera | null>(null);
  const [open, setOpen] = useState<Open>(null);
  const read = () =>
    chosen ? attempt(async () => setCamera(await get<Camera>(`/cameras/${encodeURIComponent(chosen)}`))) : Promise.resolve(setCamera(null));
  useEffect(() => void read(), [chosen]);
  const close = () => setOpen(null);
  const exported = (kind: string) => void attempt(async () => save(await exchange('GET', `/registry/export.${kind}`), `cameras.${kind}`));
  return (
    <main class="page cameras">
      <header class="page-head">
        <h1>{t('nav.cameras')}</h1>
        <span class="page-actions">
          {may('write-registry') && <button type="button" class="primary" onClick={() => setOpen('new')}><Icon name="plus" /> {t('cameras.new')}</button>}
          {may('write-registry') && <button type="button" onClick={() => setOpen('discovery')}>{t('cameras.discovery')}</button>}
          {may('write-registry') && <button type="button" onClick={() => setOpen('import')}>{t('cameras.import')}</button>}
          <button type="button" onClick={() => exported('csv')}>{t('cameras.exportCsv')}</button>
          <button type="button" onClick={() => exported('geojson')}>{t('cameras.exportGeojson')}</button>
        </span>
      </header>
      <div class={`cameras-body ${chosen ? 'one' : ''}`}>
        <CameraPicker big choose={(row) => go('cameras', row.id)} chosen={chosen} />
        <section class="card camera-facts" aria-label={t('cameras.one')} tabIndex={0}>
          {chosen && <button type="button" class="back" onClick={() => go('cameras')}>{t('cameras.backToList')}</button>}
          {camera && camera.id === chosen ? <Facts camera={camera} open={setOpen} /> : <p class="nothing">{t('cameras.chooseOne')}</p>}
        </section>
      </div>
      {(open === 'edit' || open === 'new') && <EditDialog camera={open === 'edit' ? camera : null} close={close} done={(id) => { close(); if (id) go('cameras', id); void read(); }} />}
      {open === 'masks' && camera && <MasksDialog camera={camera} close={close} done={() => { close(); void read(); }} />}
      {open === 'credentials' && camera && <CredentialsDialog camera={camera} close={close} />}
      {open === 'import' && <ImportDialog close={close} />}
      {open === 'discovery' && <DiscoveryDialog close={close} />}
    </main>
  );
}

function Facts({ camera, open }: { camera: Camera; open: (what: Open) => void }) {
  const where = shownOn.value.get(camera.id);
  const known = byId.value.get(camera.id);
  const now = cameraNow(camera.id);
  const why = now && reasonText(now);
  return (
    <>
      <h2>{camera.name}</h2>
      <p class="sub">{camera.id}</p>
      {may('view-wall') && <div class="camera-picture"><Thumbnail camera={camera.id} width={640} large /></div>}
      {now && <p class="state-line" data-camera-state={now.state}><StateMark now={now} /></p>}
      {why && <p class="why">{why}</p>}
      {where && <p><Mark tone="wait" icon="wall">{t('cameras.onWall', { tiles: where.join(', ') })}</Mark></p>}
      <dl class="facts-list">
        <dt>{t('common.zone')}</dt><dd>{camera.zone ? zoneName(camera.zone) : '–'}</dd>
        <dt>{t('cameras.site')}</dt><dd>{camera.site ? siteName(camera.site ?? known?.site ?? null) : '–'}</dd>
        <dt>{t('cameras.place')}</dt><dd>{camera.latitude !== null && camera.longitude !== null ? `${number(camera.latitude, 5)}, ${number(camera.longitude, 5)}` : '–'}</dd>
        <dt>{t('cameras.sceneWidth')}</dt><dd>{camera.scene_width_m ? `${number(camera.scene_width_m, 1)} m` : '–'}</dd>
        <dt>{t('cameras.tags')}</dt><dd>{camera.tags.join(', ') || '–'}</dd>
        <dt>{t('cameras.priority')}</dt><dd>{camera.priority}{camera.pinned && ` · ${t('wall.pinned')}`}</dd>
        <dt>{t('cameras.masks')}</dt><dd>{camera.masks.length}</dd>
        <dt>ONVIF</dt><dd>{camera.onvif || '–'}</dd>
        {Object.entries(camera.profiles).map(([name, profile]) => (
          <>
            <dt key={`${name}t`}>{t('cameras.profile', { name })}</dt>
            <dd key={`${name}d`} class="breakable">{[profile.width && profile.height && `${profile.width}×${profile.height}`, profile.frame_rate && `${number(profile.frame_rate, 1)}/s`, profile.codec, profile.uri].filter(Boolean).join(' · ')}</dd>
          </>
        ))}
      </dl>
      {mayWrite(camera.zone) && (
        <div class="buttons">
          <button type="button" class="primary" onClick={() => open('edit')}>{t('common.edit')}</button>
          <button type="button" onClick={() => open('masks')}>{t('cameras.masks')}</button>
          <button type="button" onClick={() => open('credentials')}>{t('cameras.credentials')}</button>
        </div>
      )}
    </>
  );
}

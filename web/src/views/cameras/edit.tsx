// Changing the registry: one camera, its login, a whole inventory, and what ONVIF finds.
import { useState } from 'preact/hooks';
import { del, exchange, patch, post, put, query } from '../../api/client';
import type { Camera, Found, ImportReport, Profile, Streams } from '../../api/types';
import { t } from '../../i18n';
import { attempt, say } from '../../state/notices';
import { readRegistry, sites, zones } from '../../state/registry';
import { Dialog } from '../../ui/dialog';
import { Check, Choice, Field, Form, joined, separated } from '../../ui/form';

const asNumber = (text: string): number | null => (text.trim() === '' ? null : Number(text.replace(',', '.')));
const asText = (value: number | null | undefined) => (value === null || value === undefined ? '' : String(value));

export function EditDialog({ camera, close, done, found }: { camera: Camera | null; close: () => void; done: (id?: string) => void; found?: Partial<Camera> }) {
  const from = camera ?? found;
  const [id, setId] = useState(camera?.id ?? found?.id ?? '');
  const [name, setName] = useState(from?.name ?? '');
  const [zone, setZone] = useState(from?.zone ?? '');
  const [site, setSite] = useState(from?.site ?? '');
  const [main, setMain] = useState(from?.profiles?.main?.uri ?? '');
  const [sub, setSub] = useState(from?.profiles?.sub?.uri ?? '');
  const [latitude, setLatitude] = useState(asText(from?.latitude));
  const [longitude, setLongitude] = useState(asText(from?.longitude));
  const [width, setWidth] = useState(asText(from?.scene_width_m));
  const [tags, setTags] = useState(joined(from?.tags ?? []));
  const [priority, setPriority] = useState(asText(from?.priority ?? 100));
  const [pinned, setPinned] = useState(from?.pinned ?? false);
  const [transport, setTransport] = useState(from?.transport ?? 'tcp');
  const [onvif, setOnvif] = useState(from?.onvif ?? '');
  const [sure, setSure] = useState(false);
  // An address that stays as it was is not sent: what is secret in it is not known here.
  const profiles = (): Record<string, Partial<Profile> | null> => {
    const all: Record<string, Partial<Profile> | null> = {};
    for (const [profile, uri] of [['main', main], ['sub', sub]] as const) {
      const before = from?.profiles?.[profile];
      if (uri && (!camera || uri !== before?.uri)) all[profile] = camera ? { uri } : { ...before, uri };
      else if (!uri && before && camera) all[profile] = null;
    }
    return all;
  };
  return (
    <Dialog title={camera ? camera.name : t('cameras.new')} close={close} wide>
      <Form
        button={t('common.save')}
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          const body = {
            name, zone: zone || null, site: site || null, profiles: profiles(), latitude: asNumber(latitude), longitude: asNumber(longitude),
            scene_width_m: asNumber(width), tags: separated(tags), priority: Number(priority), pinned, transport, onvif: onvif || null,
          };
          if (camera) await patch(`/cameras/${encodeURIComponent(camera.id)}`, { ...body, version: camera.version });
          else await post('/cameras', { id, ...body });
          say(t('cameras.saved', { name }));
          await readRegistry();
          done(camera ? camera.id : id);
        }}
      >
        <div class="two">
          {!camera && <Field label={t('common.id')} value={id} set={setId} required pattern="[A-Za-z0-9._\-]+" autocomplete="off" spellcheck={false} />}
          <Field label={t('common.name')} value={name} set={setName} required autocomplete="off" />
          <Choice label={t('common.zone')} value={zone} set={setZone} options={[['', '–'], ...zones.value.map((z): [string, string] => [z.id, z.name])]} />
          <Choice label={t('cameras.site')} value={site} set={setSite} options={[['', '–'], ...sites.value.filter((s) => !zone || s.zone === zone).map((s): [string, string] => [s.id, s.name])]} />
        </div>
        <Field label={t('cameras.profile', { name: 'main' })} hint={t('cameras.uriHint')} value={main} set={setMain} required autocomplete="off" spellcheck={false} />
        <Field label={t('cameras.profile', { name: 'sub' })} value={sub} set={setSub} autocomplete="off" spellcheck={false} />
        <div class="two">
          <Field label={t('cameras.latitude')} inputMode="decimal" value={latitude} set={setLatitude} autocomplete="off" />
          <Field label={t('cameras.longitude')} inputMode="decimal" value={longitude} set={setLongitude} autocomplete="off" />
          <Field label={t('cameras.sceneWidth')} hint={t('cameras.sceneWidthHint')} inputMode="decimal" value={width} set={setWidth} autocomplete="off" />
          <Field label={t('cameras.priority')} type="number" min={0} max={255} value={priority} set={setPriority} />
          <Choice label={t('cameras.transport')} value={transport} set={setTransport} options={[['tcp', 'TCP'], ['udp', 'UDP']]} />
          <Field label="ONVIF" hint={t('cameras.onvifHint')} value={onvif} set={setOnvif} autocomplete="off" spellcheck={false} />
        </div>
        <Field label={t('cameras.tags')} hint={t('common.commas')} value={tags} set={setTags} autocomplete="off" />
        <Check label={t('cameras.pinned')} checked={pinned} set={setPinned} />
      </Form>
      {camera && (
        <div class="buttons">
          <button type="button" class="bad" onClick={() => (sure ? void attempt(async () => { await del(`/cameras/${encodeURIComponent(camera.id)}`); await readRegistry(); done(); }) : setSure(true))}>{t(sure ? 'common.sureDelete' : 'common.delete')}</button>
        </div>
      )}
    </Dialog>
  );
}

export function CredentialsDialog({ camera, close }: { camera: Camera; close: () => void }) {
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const at = `/cameras/${encodeURIComponent(camera.id)}/credentials`;
  return (
    <Dialog title={`${t('cameras.credentials')} · ${camera.name}`} close={close}>
      <Form button={t('common.save')} cancel={close} cancelText={t('common.cancel')} submit={async () => { await put(at, { user, password }); say(t('cameras.credentialsSaved')); close(); }}>
        <p class="hint">{t('cameras.credentialsHint')}</p>
        <Field label={t('cameras.user')} value={user} set={setUser} required autocomplete="off" spellcheck={false} />
        <Field label={t('login.password')} type="password" value={password} set={setPassword} required autocomplete="new-password" />
      </Form>
      <div class="buttons"><button type="button" class="bad" onClick={() => void attempt(async () => { await del(at); say(t('cameras.credentialsGone')); close(); })}>{t('cameras.credentialsDelete')}</button></div>
    </Dialog>
  );
}

export function ImportDialog({ close }: { close: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [report, setReport] = useState<ImportReport | null>(null);
  const send = async (dry: boolean) => {
    if (!file) throw new Error(t('cameras.chooseFile'));
    const format = /json$/i.test(file.name) ? 'geojson' : 'csv';
    const response = await exchange('POST', query('/registry/import', { format, dry_run: dry }), {
      body: await file.text(),
      headers: { 'Content-Type': format === 'csv' ? 'text/csv' : 'application/geo+json' },
    });
    const answer = (await response.json()) as ImportReport;
    setReport(answer);
    if (!dry) {
      say(t('cameras.imported'));
      await readRegistry();
      close();
    }
  };
  return (
    <Dialog title={t('cameras.import')} close={close}>
      <Form button={report ? t('cameras.importNow') : t('cameras.importTry')} submit={() => send(!report)} cancel={close} cancelText={t('common.cancel')}>
        <p class="hint">{t('cameras.importHint')}</p>
        <label class="field"><span>{t('cameras.file')}</span><input type="file" accept=".csv,.json,.geojson" onChange={(e) => { setFile(e.currentTarget.files?.[0] ?? null); setReport(null); }} /></label>
        {report && (
          <div class="verdict-box" role="status">
            <p>{t('cameras.importReport', { added: report.added_count, changed: report.changed_count, left: report.left_out_count })}</p>
            {report.left_out.length > 0 && <ul>{report.left_out.slice(0, 50).map((p, i) => <li key={i}>{p.row !== null ? `${p.row}: ` : ''}{p.key}: {p.message}</li>)}</ul>}
          </div>
        )}
      </Form>
    </Dialog>
  );
}

export function DiscoveryDialog({ close }: { close: () => void }) {
  const [found, setFound] = useState<Found[] | null>(null);
  const [searching, setSearching] = useState(false);
  const [network, setNetwork] = useState('default');
  const [address, setAddress] = useState('');
  const [asked, setAsked] = useState<Found | null>(null);
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [taken, setTaken] = useState<Partial<Camera> | null>(null);
  if (taken) return <EditDialog camera={null} found={taken} close={close} done={() => close()} />;
  return (
    <Dialog title={t('cameras.discovery')} close={close} wide>
      <p class="hint">{t('cameras.discoveryHint')}</p>
      <Form
        button={t(searching ? 'cameras.searching' : 'cameras.searchNow')}
        submit={async () => {
          setSearching(true);
          try {
            setFound(await post<Found[]>('/discovery', address ? { address } : { interface: network || 'default' }));
          } finally {
            setSearching(false);
          }
        }}
      >
        <div class="two">
          <Field label={t('cameras.network')} hint={t('cameras.networkHint')} value={network} set={setNetwork} autocomplete="off" spellcheck={false} />
          <Field label={t('cameras.oneAddress')} hint={t('cameras.oneAddressHint')} value={address} set={setAddress} autocomplete="off" spellcheck={false} />
        </div>
      </Form>
      {found && found.length === 0 && <p class="nothing">{t('cameras.nothingFound')}</p>}
      <ul class="list" role="list">
        {(found ?? []).map((one) => (
          <li key={one.endpoint}>
            <div><b>{one.name ?? one.from}</b><p class="sub">{[one.hardware, one.location, one.from].filter(Boolean).join(' · ')}</p></div>
            <button type="button" onClick={() => setAsked(one)}>{t('cameras.readProfiles')}</button>
          </li>
        ))}
      </ul>
      {asked && (
        <Form
          button={t('cameras.readProfiles')}
          submit={async () => {
            const answer = await post<Streams>('/discovery/profiles', { address: asked.addresses[0] ?? asked.from, ...(user ? { user, password } : {}) });
            const usable = answer.profiles.filter((p) => p.uri).sort((a, b) => (b.width ?? 0) - (a.width ?? 0));
            const plain = ({ uri, width, height, frame_rate, codec, kbps }: Partial<Profile>): Profile => ({ uri: uri ?? '', width, height, frame_rate, codec, kbps });
            const profiles: Record<string, Profile> = {};
            if (usable[0]) profiles.main = plain(usable[0]);
            if (usable.length > 1) profiles.sub = plain(usable[usable.length - 1]!);
            setTaken({ name: asked.name ?? answer.about.model ?? asked.from, onvif: answer.onvif, profiles });
          }}
        >
          <p><b>{asked.name ?? asked.from}</b></p>
          <div class="two">
            <Field label={t('cameras.user')} value={user} set={setUser} autocomplete="off" spellcheck={false} />
            <Field label={t('login.password')} type="password" value={password} set={setPassword} autocomplete="new-password" />
          </div>
        </Form>
      )}
    </Dialog>
  );
}

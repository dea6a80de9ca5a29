// The wall's questions: does it fit, who was quicker, why the snapshot, which screens, which tour.
import { useEffect, useState } from 'preact/hooks';
import { del, exchange, get, post, put, save } from '../../api/client';
import type { Tour } from '../../api/types';
import { number, t, word } from '../../i18n';
import { change, question, send } from '../../state/commands';
import { attempt, say } from '../../state/notices';
import { byId, rows, search } from '../../state/registry';
import { personName } from '../../state/session';
import { screen, screens, tileId } from '../../state/wall';
import { Dialog } from '../../ui/dialog';
import { Check, Choice, Field, Form } from '../../ui/form';
import { Icon } from '../../ui/icons';
import { Mark } from '../../ui/bits';
import { open } from './actions';
import { lesser } from './admission';
import { ARRANGEMENTS } from './bar';
import { RulesDialog } from './rules';
import { fullTours, readSaved } from './side';

export function WallDialogs() {
  const close = () => (open.value = null);
  const now = open.value;
  return (
    <>
      {now?.kind === 'snapshot' && <SnapshotDialog of={now.of} id={now.id} close={close} />}
      {now?.kind === 'ptz' && <PtzDialog camera={now.camera} close={close} />}
      {now?.kind === 'span' && <SpanDialog close={close} />}
      {now?.kind === 'save-layout' && <SaveLayoutDialog close={close} />}
      {now?.kind === 'tour' && <TourDialog id={now.id} close={close} />}
      {now?.kind === 'rules' && <RulesDialog close={close} />}
      <Questions />
    </>
  );
}

/** So many names of a list are shown. */
const MOST = 24;

function cameraName(id: string | null | undefined) {
  return id ? (byId.value.get(id)?.name ?? id) : '';
}

function Questions() {
  const asked = question.value;
  const close = () => (question.value = null);
  if (asked?.kind === 'admission') {
    const { admission } = asked;
    const hopeless = admission.admission === 'does-not-fit';
    return (
      <Dialog title={asked.title} close={close} tone={hopeless ? 'bad' : 'warn'}>
        <p class="verdict"><Mark tone={hopeless ? 'bad' : 'old'} icon={hopeless ? 'offline' : 'old'}>{word('admission', admission.admission)}</Mark></p>
        {admission.admission === 'degraded' && (
          <>
            <p>{t('admission.degradedList')}</p>
            <ul>{lesser(admission).slice(0, MOST).map((d) => <li key={d.key}>{d.name}: {word('step', d.step)}</li>)}</ul>
            {lesser(admission).length > MOST && <p class="sub">{t('admission.andMore', { count: lesser(admission).length - MOST })}</p>}
          </>
        )}
        {admission.admission === 'does-not-fit' && (
          <>
            {admission.missing > 0 && <p>{t('admission.missing', { cores: number(admission.missing, 2) })}</p>}
            {admission.paused.length > 0 && (
              <>
                <p>{t('admission.pausedList')}</p>
                <ul>{admission.paused.slice(0, MOST).map((c) => <li key={c}>{cameraName(c)}</li>)}</ul>
                {admission.paused.length > MOST && <p class="sub">{t('admission.andMore', { count: admission.paused.length - MOST })}</p>}
              </>
            )}
          </>
        )}
        <div class="buttons">
          <button type="button" class={`primary ${hopeless ? 'bad' : ''}`} data-first onClick={() => { close(); asked.apply(); }}>{hopeless ? t('admission.applyAnyway') : t('admission.applySo')}</button>
          <button type="button" onClick={close}>{t('common.cancel')}</button>
        </div>
      </Dialog>
    );
  }
  if (asked?.kind === 'conflict') {
    return (
      <Dialog title={t('conflict.title')} close={close} tone="warn">
        <p>{t('conflict.explain')}</p>
        <ul>
          {asked.differences.slice(0, 20).map((d) => (
            <li key={`${d.subject} ${d.what}`}>
              <b>{d.subject}</b>: {t(`conflict.${d.what}`, { from: d.what === 'camera' ? cameraName(d.from) || '–' : d.from || '–', to: d.what === 'camera' ? cameraName(d.to) || '–' : d.to || '–' })}
              {d.by && <span class="sub"> ({personName(d.by)})</span>}
            </li>
          ))}
        </ul>
        {asked.impossible.length > 0 && <p class="wrong">{asked.impossible.map((i) => t(`conflict.impossible.${i.why}`, { op: t(`op.${i.change.op}`) })).join(' ')}</p>}
        <div class="buttons">
          <button type="button" class="primary" data-first disabled={asked.possible.length === 0} onClick={() => { close(); asked.reapply(); }}>{t('conflict.reapply')}</button>
          <button type="button" onClick={close}>{t('conflict.leave')}</button>
        </div>
      </Dialog>
    );
  }
  return null;
}

function SnapshotDialog({ of, id, close }: { of: 'tile' | 'screen'; id: string; close: () => void }) {
  const [reason, setReason] = useState('');
  const path = of === 'tile' ? `/wall/tiles/${encodeURIComponent(id)}/snapshot` : `/wall/screens/${encodeURIComponent(id)}/snapshot`;
  return (
    <Dialog title={t(of === 'tile' ? 'snapshot.tile' : 'snapshot.screen', { id })} close={close}>
      <Form
        button={t('snapshot.take')}
        submit={async () => {
          const response = await exchange('POST', path, { body: JSON.stringify({ reason }), headers: { 'Content-Type': 'application/json' } });
          await save(response, `${id}.png`);
          say(t('snapshot.done'));
          close();
        }}
        cancel={close}
        cancelText={t('common.cancel')}
      >
        <p class="hint">{t('snapshot.explain')}</p>
        <Field label={t('common.reason')} value={reason} set={setReason} required minLength={3} autocomplete="off" />
      </Form>
    </Dialog>
  );
}

function SpanDialog({ close }: { close: () => void }) {
  const [chosen, setChosen] = useState<Set<string>>(new Set(screen.value ? [screen.value.id] : []));
  const [arrangement, setArrangement] = useState('1');
  return (
    <Dialog title={t('wall.span')} close={close}>
      <Form
        button={t('common.apply')}
        submit={async () => {
          close();
          await change([{ op: 'span', screens: screens.value.map((s) => s.id).filter((id) => chosen.has(id)), arrangement }], t('wall.span'));
        }}
        cancel={close}
        cancelText={t('common.cancel')}
      >
        <p class="hint">{t('wall.spanExplain')}</p>
        <fieldset>
          <legend>{t('wall.screens')}</legend>
          {screens.value.map((s) => (
            <Check key={s.id} label={s.id} checked={chosen.has(s.id)} set={(on) => { const next = new Set(chosen); if (on) next.add(s.id); else next.delete(s.id); setChosen(next); }} />
          ))}
        </fieldset>
        <Choice label={t('wall.arrangement')} value={arrangement} set={setArrangement} options={ARRANGEMENTS.map((a) => [a, a])} />
      </Form>
    </Dialog>
  );
}

function SaveLayoutDialog({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  return (
    <Dialog title={t('wall.saveLayout')} close={close}>
      <Form
        button={t('common.save')}
        submit={async () => {
          await post('/layouts', { name });
          say(t('wall.saved'));
          await readSaved();
          close();
        }}
        cancel={close}
        cancelText={t('common.cancel')}
      >
        <Field label={t('common.name')} value={name} set={setName} required maxLength={100} autocomplete="off" />
      </Form>
    </Dialog>
  );
}

/** Cameras one after the other in chosen tiles. */
function TourDialog({ id, close }: { id: string | null; close: () => void }) {
  const old = fullTours.value.find((tour) => tour.id === id) ?? null;
  const [name, setName] = useState(old?.name ?? '');
  const [dwell, setDwell] = useState(String(old?.dwell_s ?? 10));
  const [cameras, setCameras] = useState<string[]>(old?.cameras ?? []);
  const [tiles, setTiles] = useState<string[]>(old?.tiles ?? (tileId.value ? [tileId.value] : []));
  const [text, setText] = useState('');
  const found = text ? search(rows.value, text).slice(0, 8) : [];
  const add = (camera: string) => {
    setCameras([...cameras, camera]);
    setText('');
  };
  return (
    <Dialog title={old ? old.name : t('wall.newTour')} close={close} wide>
      <Form
        button={t('common.save')}
        submit={async () => {
          if (cameras.length === 0 || tiles.length === 0) throw new Error(t('tour.empty'));
          const body = { name, dwell_s: Number(dwell), tiles, cameras };
          await (old ? put(`/tours/${encodeURIComponent(old.id)}`, body) : post<Tour>('/tours', body));
          await readSaved();
          close();
        }}
        cancel={close}
        cancelText={t('common.cancel')}
      >
        <Field label={t('common.name')} value={name} set={setName} required autocomplete="off" />
        <Field label={t('tour.dwell')} type="number" min={2} max={3600} value={dwell} set={setDwell} required />
        <fieldset class="dense">
          <legend>{t('tour.tiles')} {screen.value?.id}</legend>
          {(screen.value?.tiles ?? []).map((tile, i) => <Check key={tile.id} label={String(i + 1)} checked={tiles.includes(tile.id)} set={(on) => setTiles(on ? [...tiles, tile.id] : tiles.filter((s) => s !== tile.id))} />)}
        </fieldset>
        <Field
          label={t('tour.addCamera')}
          value={text}
          set={setText}
          autocomplete="off"
          onKeyDown={(e) => {
            if (e.key !== 'Enter' || !text) return;
            e.preventDefault();
            if (found[0]) add(found[0].id);
          }}
        />
        <div class="chips">
          {found.map((row) => <button type="button" class="small" key={row.id} onClick={() => add(row.id)}><Icon name="plus" /> {row.name}</button>)}
        </div>
        <ol class="chips">
          {cameras.map((camera, i) => <li key={`${camera}${i}`}><button type="button" class="small" aria-label={t('common.removeThing', { name: cameraName(camera) })} onClick={() => setCameras(cameras.filter((_, j) => j !== i))}>{cameraName(camera)} <Icon name="close" /></button></li>)}
        </ol>
      </Form>
      {old && <div class="buttons"><button type="button" class="bad" onClick={() => void send(() => del(`/tours/${encodeURIComponent(old.id)}`)).then(() => readSaved()).then(close)}>{t('common.delete')}</button></div>}
    </Dialog>
  );
}

/** Moves a camera while a button or an arrow key is held. */
function PtzDialog({ camera, close }: { camera: string; close: () => void }) {
  const [presets, setPresets] = useState<{ token: string; name: string }[] | null>(null);
  const path = `/cameras/${encodeURIComponent(camera)}/ptz`;
  useEffect(() => {
    void attempt(async () => {
      setPresets((await get<{ presets: { token: string; name: string }[] }>(path)).presets);
    });
  }, [camera]);
  const move = (pan: number, tilt: number, zoom: number) => void attempt(() => post(path, { move: [pan, tilt, zoom] }));
  const stop = () => void attempt(() => post(path, { stop: true }));
  const arrows: Record<string, [number, number, number]> = { ArrowLeft: [-0.5, 0, 0], ArrowRight: [0.5, 0, 0], ArrowUp: [0, 0.5, 0], ArrowDown: [0, -0.5, 0], '+': [0, 0, 0.5], '-': [0, 0, -0.5] };
  const pad = (label: string, sign: string, [pan, tilt, zoom]: [number, number, number]) => (
    <button
      type="button"
      aria-label={label}
      onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); move(pan, tilt, zoom); }}
      onPointerUp={stop}
      onPointerCancel={stop}
      onKeyDown={(e) => { if ((e.key === 'Enter' || e.key === ' ') && !e.repeat) { e.preventDefault(); move(pan, tilt, zoom); } }}
      onKeyUp={(e) => (e.key === 'Enter' || e.key === ' ') && stop()}
    >
      <span aria-hidden="true">{sign}</span>
    </button>
  );
  return (
    <Dialog title={t('ptz.title', { name: cameraName(camera) })} close={() => { stop(); close(); }}>
      <div
        class="ptz"
        role="group"
        aria-label={t('ptz.pad')}
        onKeyDown={(e) => { const a = arrows[e.key]; if (a) { e.preventDefault(); if (!e.repeat) move(...a); } }}
        onKeyUp={(e) => arrows[e.key] && stop()}
      >
        <span />{pad(t('ptz.up'), '▲', [0, 0.5, 0])}<span />
        {pad(t('ptz.left'), '◀', [-0.5, 0, 0])}<button type="button" data-first onClick={stop} aria-label={t('ptz.stop')}><Icon name="stop" /></button>{pad(t('ptz.right'), '▶', [0.5, 0, 0])}
        {pad(t('ptz.out'), '−', [0, 0, -0.5])}{pad(t('ptz.down'), '▼', [0, -0.5, 0])}{pad(t('ptz.in'), '+', [0, 0, 0.5])}
      </div>
      <p class="hint">{t('ptz.hint')}</p>
      {presets && presets.length > 0 && (
        <div class="chips" role="group" aria-label={t('ptz.presets')}>
          {presets.map(({ token, name }) => <button type="button" class="small" key={token} onClick={() => void attempt(() => post(path, { preset: token }))}>{name || token}</button>)}
        </div>
      )}
    </Dialog>
  );
}

// Beside the stage: alarms, tours, saved layouts, and what the machine has left.
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { all, del, post, put } from '../../api/client';
import type { AlarmRule, SavedLayout, Tour } from '../../api/types';
import { dateTime, number, t, word } from '../../i18n';
import { admitted, send } from '../../state/commands';
import { changesTo } from '../../layout/conflict';
import { attempt } from '../../state/notices';
import { byId } from '../../state/registry';
import { may } from '../../state/session';
import { trusted } from '../../state/cameras';
import { layout, openAlarms, readWall, screen, tours, wall } from '../../state/wall';
import { Empty, Mark } from '../../ui/bits';
import { Icon } from '../../ui/icons';
import { open } from './actions';
import { Lost } from './lost';

export const savedLayouts = signal<SavedLayout[]>([]);
export const fullTours = signal<Tour[]>([]);
export const alarmRules = signal<AlarmRule[]>([]);

export async function readSaved(): Promise<void> {
  await attempt(async () => {
    [savedLayouts.value, fullTours.value] = await Promise.all([all<SavedLayout>('/layouts'), all<Tour>('/tours')]);
  });
}

export function Alarms() {
  const list = openAlarms.value;
  return (
    <section class={`panel ${list.length ? 'has-alarms' : ''}`} aria-label={t('wall.alarms')}>
      <header class="row">
        <h2><Icon name="alarm" /> {t('wall.alarms')} {list.length > 0 && <span class="count">{list.length}</span>}</h2>
        {may('manage-wall') && <button type="button" class="small" onClick={() => (open.value = { kind: 'rules' })}>{t('wall.rules')}</button>}
      </header>
      {list.length === 0 && <Empty>{t(trusted.value ? 'wall.noAlarm' : 'state.unknown')}</Empty>}
      <ul class="list" role="list">
        {list.map((alarm) => (
          <li key={alarm.id} class="alarm">
            <div>
              <b>{byId.value.get(alarm.camera)?.name ?? alarm.camera}</b>
              <p class="sub">{[word('alarmKind', alarm.kind), alarm.text, dateTime(alarm.at)].filter(Boolean).join(' · ')}</p>
            </div>
            {may('operate-wall') && (
              <button type="button" onClick={() => void acknowledge(alarm.id)}>
                <Icon name="check" /> {t('wall.acknowledge')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

export async function acknowledge(id: number | undefined) {
  if (id === undefined) return;
  if (await send(() => post(`/alarms/${id}/acknowledge`), t('wall.acknowledged'))) await readWall().catch(() => {});
}

export function Tours() {
  useEffect(() => void readSaved(), []);
  const states = new Map(tours.value.map((tour) => [tour.id, tour]));
  const list = fullTours.value.map((tour) => ({ ...tour, now: states.get(tour.id) ?? null, state: states.get(tour.id)?.state ?? 'stopped' }));
  const control = (id: string, verb: string) => void send(() => post(`/tours/${encodeURIComponent(id)}/${verb}`)).then(() => readWall().catch(() => {}));
  return (
    <section class="panel" aria-label={t('wall.tours')}>
      <header class="row">
        <h2>{t('wall.tours')}</h2>
        {may('operate-wall') && <button type="button" class="small" onClick={() => (open.value = { kind: 'tour', id: null })}><Icon name="plus" /> {t('wall.newTour')}</button>}
      </header>
      {list.length === 0 && <Empty>{t('wall.noTour')}</Empty>}
      <ul class="list" role="list">
        {list.map((tour) => (
          <li key={tour.id} data-tour={tour.name}>
            <div>
              <button type="button" class="link" onClick={() => (open.value = { kind: 'tour', id: tour.id })}>{tour.name}</button>
              <p class="sub">
                {!trusted.value ? <Mark tone="none" icon="unknown">{t('state.unknown')}</Mark> : <><Mark tone={tour.state === 'running' ? 'live' : tour.state === 'paused' ? 'old' : 'none'} icon={tour.state === 'running' ? 'play' : tour.state === 'paused' ? 'pause' : 'stop'}>
                  {word('tour', tour.state)}
                </Mark>
                {tour.now && tour.state !== 'stopped' && ` ${t('tour.turn', { turn: tour.now.turn + 1, turns: turns(tour) })}`}
                {tour.now?.paused_by && ` · ${word('tourReason', tour.now.paused_by)}`}</>}
                {` · ${number(tour.dwell_s)} s`}
                {tour.now?.trouble && <span class="wrong"> · {tour.now.trouble}</span>}
              </p>
            </div>
            {may('operate-wall') && (
              <span class="pair">
                {tour.state === 'running' && <button type="button" aria-label={t('tour.pause')} onClick={() => control(tour.id, 'pause')}><Icon name="pause" /></button>}
                {tour.state === 'paused' && <button type="button" aria-label={t('tour.resume')} onClick={() => control(tour.id, 'resume')}><Icon name="play" /></button>}
                {tour.state !== 'running' && tour.state !== 'paused' && <button type="button" aria-label={t('tour.start')} onClick={() => control(tour.id, 'start')}><Icon name="play" /></button>}
                {(tour.state === 'running' || tour.state === 'paused') && <button type="button" aria-label={t('tour.stop')} onClick={() => control(tour.id, 'stop')}><Icon name="stop" /></button>}
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** How many turns a tour has: as many cameras at once as tiles. */
export const turns = (tour: Tour) => Math.max(1, Math.ceil(tour.cameras.length / Math.max(1, tour.tiles.length)));

export function SavedLayouts() {
  const apply = (saved: SavedLayout) =>
    void admitted(changesTo(layout.value, saved.regions), t('wall.applyLayout', { name: saved.name }), () =>
      void send(() => post(`/layouts/${encodeURIComponent(saved.id)}/apply${layout.value ? `?version=${layout.value.version}` : ''}`), t('wall.applied', { name: saved.name })).then(() => readWall().catch(() => {})),
    );
  return (
    <section class="panel" aria-label={t('wall.layouts')}>
      <header class="row">
        <h2>{t('wall.layouts')}</h2>
        {may('operate-wall') && <button type="button" class="small" onClick={() => (open.value = { kind: 'save-layout' })}><Icon name="plus" /> {t('wall.saveLayout')}</button>}
      </header>
      {savedLayouts.value.length === 0 && <Empty>{t('wall.noLayout')}</Empty>}
      <ul class="list" role="list">
        {savedLayouts.value.map((saved) => (
          <li key={saved.id}>
            <div>
              <b>{saved.name}</b>
              <p class="sub">{[dateTime(saved.at)].filter(Boolean).join(' · ')}</p>
            </div>
            {may('operate-wall') && (
              <span class="pair">
                <button type="button" onClick={() => apply(saved)} aria-label={t('wall.applyLayout', { name: saved.name })}>{t('common.apply')}</button>
                <button type="button" class="icon-only" aria-label={t('wall.overwriteLayout', { name: saved.name })} title={t('wall.overwrite')} onClick={() => void send(() => put(`/layouts/${encodeURIComponent(saved.id)}`, { name: saved.name }), t('wall.saved')).then(readSaved)}><Icon name="redo" /></button>
                <button type="button" class="icon-only" aria-label={t('wall.deleteLayout', { name: saved.name })} onClick={() => void send(() => del(`/layouts/${encodeURIComponent(saved.id)}`)).then(readSaved)}><Icon name="close" /></button>
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

export function MachinePanel() {
  const machine = wall.value?.machine;
  const cameras = wall.value?.cameras;
  if (!machine || !cameras) return null;
  if (!trusted.value) {
    return (
      <section class="panel machine" aria-label={t('wall.machine')}>
        <header class="row"><h2>{t('wall.machine')}</h2><Mark tone="none" icon="unknown">{t('state.unknown')}</Mark></header>
      </section>
    );
  }
  const tone = ({ 'has-room': 'live', 'nearly-full': 'old', full: 'bad' } as const)[machine.room] ?? 'bad';
  const lately = wall.value!.screens.reduce((sum, s) => ({ dropped: sum.dropped + s.lately.dropped, missed: sum.missed + s.lately.missed }), { dropped: 0, missed: 0 });
  const part = (of: number, all: number) => (all > 0 ? of / all : of > 0 ? 2 : 0);
  return (
    <section class="panel machine" aria-label={t('wall.machine')}>
      <header class="row">
        <h2>{t('wall.machine')}</h2>
        <Mark tone={tone} icon={tone === 'live' ? 'check' : 'old'}>{word('room', machine.room)}</Mark>
      </header>
      {machine.because.length > 0 && <ul class={`because tone-${tone}`} role="list">{machine.because.map((why) => <li key={why}>{t(`strain.${why}`, { dropped: number(lately.dropped), missed: number(lately.missed) })}</li>)}</ul>}
      <Meter label={t('wall.cores', { used: number(machine.used + machine.others, 1), cores: number(machine.cores) })} part={part(machine.used + machine.others, machine.cores)} tone={meterTone(part(machine.used + machine.others, machine.cores), 0.95)} />
      <Meter label={t('wall.decoding', { demand: number(machine.decoding_demand, 1), available: number(machine.decoding_available, 1) })} part={part(machine.decoding_demand, machine.decoding_available)} tone={meterTone(part(machine.decoding_demand, machine.decoding_available), 1)} />
      {screen.value && <Lost screen={screen.value} />}
      <p class="sub">{t('wall.camerasLive', { ...cameras })}</p>
    </section>
  );
}

const meterTone = (part: number, full: number) => (part > full ? 'bad' : part > 0.85 ? 'old' : 'live');

function Meter({ label, part, tone }: { label: string; part: number; tone: string }) {
  const percent = Math.round(Math.min(1, Math.max(0, part)) * 100);
  return (
    <div class={`meter tone-${tone}`}>
      <span>{label}</span>
      <div class="bar" role="meter" aria-label={label} aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100}><i style={{ width: `${percent}%` }} /></div>
    </div>
  );
}

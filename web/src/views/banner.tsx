// Under which incident the wall shows: always in sight, with what can be done about it, and the countdown to its end.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { all, post, put } from '../api/client';
import type { Closing, Incident } from '../api/types';
import { dateTime, t } from '../i18n';
import { send } from '../state/commands';
import { basisText, legalBases, options, purposes, purposeText, readLaw } from '../state/law';
import { attempt, say } from '../state/notices';
import { byId } from '../state/registry';
import { may, me } from '../state/session';
import { incident as shownUnder, readIncident, readWall, wall } from '../state/wall';
import { trusted } from '../state/cameras';
import { clockText, useNow } from '../ui/bits';
import { Dialog } from '../ui/dialog';
import { Choice, Field, Form } from '../ui/form';
import { Icon } from '../ui/icons';

type Asked = { kind: 'open' } | { kind: 'choose' } | { kind: 'close'; incident: Incident };
export const asked = signal<Asked | null>(null);
/** Counts what was done to incidents, so that lists read again. */
export const incidentsChanged = signal(0);

const done = async () => {
  incidentsChanged.value++;
  if (!may('view-wall')) return;
  await readWall().catch(() => {});
  await readIncident();
};

export const choose = (id: string | null) => send(() => put('/wall/incident', { incident: id }), id ? t('incident.chosen', { id }) : t('incident.none')).then(done);
export const keep = (id: string) => send(() => post(`/incidents/${encodeURIComponent(id)}/keep`), t('incident.kept')).then(done);

export function IncidentBanner() {
  const now = useNow(500);
  const [open, setOpen] = useState(false);
  if (!wall.value) return null;
  const incident = shownUnder.value;
  const sure = trusted.value;
  // A small screen shows what can be done when it is asked for, or when something has to be done.
  const folded = !open && incident?.state === 'open';
  const left = incident?.state === 'closing' && incident.ends_at ? new Date(incident.ends_at).getTime() - now : null;
  return (
    <section class={`incident-banner ${folded ? 'folded' : ''} ${!sure ? 'unsure' : !incident || incident.state === 'closed' ? 'none' : left !== null ? 'closing' : 'open'}`} aria-label={t('incident.one')}>
      <Icon name={!sure ? 'unknown' : incident ? (left !== null ? 'old' : 'check') : 'refused'} />
      <div class="incident-text">
        {incident ? (
          <>
            <b>{incident.id} · {incident.title}</b>
            <span class="sub">{t('incident.since', { at: dateTime(incident.opened_at), by: incident.opened_name ?? incident.opened_by })}</span>
          </>
        ) : (
          <b>{t('incident.noneShown')}</b>
        )}
      </div>
      {left !== null && <strong class="countdown" role="timer">{t('incident.endsIn', { time: clockText(left) })}</strong>}
      {may('incident') && incident?.state === 'open' && (
        <button type="button" class="quiet icon-only banner-fold" aria-expanded={open} aria-label={t('incident.actions')} onClick={() => setOpen(!open)}><Icon name={open ? 'close' : 'down'} /></button>
      )}
      {may('incident') && (
        <span class="banner-actions" onClick={() => setOpen(false)}>
          {left !== null && incident && <button type="button" class="primary" onClick={() => void keep(incident.id)}>{t('incident.keep')}</button>}
          {incident?.state === 'open' && <button type="button" onClick={() => (asked.value = { kind: 'close', incident })}>{t('incident.close')}</button>}
          <button type="button" class={incident ? '' : 'primary'} onClick={() => (asked.value = { kind: 'open' })}>{t('incident.open')}</button>
          {may('operate-wall') && <button type="button" onClick={() => (asked.value = { kind: 'choose' })}>{t('incident.choose')}</button>}
        </span>
      )}
    </section>
  );
}

export function IncidentDialogs() {
  const close = () => (asked.value = null);
  const now = asked.value;
  if (now?.kind === 'open') return <OpenDialog close={close} />;
  if (now?.kind === 'choose') return <ChooseDialog close={close} />;
  if (now?.kind === 'close') return <CloseDialog incident={now.incident} close={close} />;
  return null;
}

function OpenDialog({ close }: { close: () => void }) {
  const [title, setTitle] = useState('');
  const [reason, setReason] = useState('');
  const [basis, setBasis] = useState('');
  const [basisWords, setBasisWords] = useState('');
  const [reference, setReference] = useState('');
  const [purpose, setPurpose] = useState('');
  useEffect(() => void readLaw(), []);
  const choice: [string, string][] = [['', t('common.pleaseChoose')]];
  return (
    <Dialog title={t('incident.open')} close={close} wide>
      <Form
        button={t('incident.open')}
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          if (!purpose || !basis) throw new Error(t('incident.chooseBoth'));
          const made = await post<Incident>('/incidents', {
            title, reason, reference, purpose, legal_basis: basis, ...(basis === 'other' ? { legal_text: basisWords } : {}),
          });
          if (may('operate-wall')) await put('/wall/incident', { incident: made.id });
          say(t('incident.opened', { id: made.id }));
          close();
          await done();
        }}
      >
        <p class="hint">{t('incident.explain')}</p>
        <Field label={t('incident.title')} value={title} set={setTitle} required autocomplete="off" />
        <Field label={t('common.reason')} value={reason} set={setReason} required area />
        {purposes.value.length ? (
          <Choice label={t('incident.purpose')} value={purpose} set={setPurpose} options={[...choice, ...options(purposes.value)]} />
        ) : (
          <Field label={t('incident.purpose')} value={purpose} set={setPurpose} required autocomplete="off" />
        )}
        {legalBases.value.length ? (
          <Choice label={t('incident.basis')} value={basis} set={setBasis} options={[...choice, ...options(legalBases.value)]} />
        ) : (
          <Field label={t('incident.basis')} value={basis} set={setBasis} required autocomplete="off" />
        )}
        {basis === 'other' && <Field label={t('incident.basisWords')} value={basisWords} set={setBasisWords} required autocomplete="off" />}
        <Field label={t('incident.reference')} hint={t('incident.referenceHint')} value={reference} set={setReference} required autocomplete="off" />
      </Form>
    </Dialog>
  );
}

function ChooseDialog({ close }: { close: () => void }) {
  const [list, setList] = useState<Incident[] | null>(null);
  useEffect(() => {
    void readLaw();
    void attempt(async () => setList((await all<Incident>('/incidents')).filter((i) => i.state !== 'closed')));
  }, []);
  const present = wall.value?.incident;
  return (
    <Dialog title={t('incident.choose')} close={close}>
      {list && list.length === 0 && <p class="nothing">{t('incident.noOpen')}</p>}
      <ul class="list" role="list">
        {(list ?? []).map((incident) => (
          <li key={incident.id}>
            <div>
              <b>{incident.id} · {incident.title}</b>
              <p class="sub">{purposeText(incident.purpose)} · {basisText(incident.legal_basis, incident.legal_text)}</p>
            </div>
            <button type="button" disabled={incident.id === present} onClick={() => void choose(incident.id).then(close)}>{incident.id === present ? t('incident.present') : t('common.choose')}</button>
          </li>
        ))}
      </ul>
      {present && <div class="buttons"><button type="button" onClick={() => void choose(null).then(close)}>{t('incident.chooseNone')}</button></div>}
    </Dialog>
  );
}

function CloseDialog({ incident, close }: { incident: Incident; close: () => void }) {
  const [grace, setGrace] = useState('60');
  const shown = (wall.value?.incident === incident.id ? wall.value.screens : []).flatMap((s) => s.tiles.filter((tile) => tile.camera));
  return (
    <Dialog title={t('incident.closeOne', { id: incident.id })} close={close} tone="warn">
      <p>{shown.length > 0 ? t('incident.willEnd', { count: shown.length }) : t('incident.nothingShown')}</p>
      {shown.length > 0 && <p class="sub">{shown.slice(0, 12).map((tile) => byId.value.get(tile.camera!)?.name ?? tile.name).join(', ')}{shown.length > 12 && ' …'}</p>}
      <Form
        button={t('incident.close')}
        tone="bad"
        cancel={close}
        cancelText={t('common.cancel')}
        submit={async () => {
          const answer = await post<Closing>(`/incidents/${encodeURIComponent(incident.id)}/close`, { grace_s: Number(grace) });
          say(t('incident.closing', { count: answer?.ends?.length ?? 0 }), 'warn');
          close();
          await done();
        }}
      >
        <Choice label={t('incident.grace')} value={grace} set={setGrace} options={[['0', t('incident.atOnce')], ['10', '10 s'], ['60', '1 min'], ['300', '5 min'], ['600', '10 min']]} />
      </Form>
    </Dialog>
  );
}

/** Closing is for the one who opened it, or for those who close incidents of others. */
export const mayClose = (incident: Incident) => may('close-incident') || (may('incident') && incident.opened_by === me.value?.account);

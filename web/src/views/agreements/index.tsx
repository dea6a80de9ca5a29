// Agreements: the zones at a glance, the list, one agreement with its history and what may be done with it.
import { useEffect, useState } from 'preact/hooks';
import { all, get, post } from '../../api/client';
import type { Agreement, Standing, ZoneState } from '../../api/types';
import { dateTime, day, t, word } from '../../i18n';
import { agreementsChanged } from '../../state/changed';
import { purposeText, readLaw } from '../../state/law';
import { attempt, say } from '../../state/notices';
import { go, href, path } from '../../state/router';
import { readRegistry, zoneName } from '../../state/registry';
import { may, me } from '../../state/session';
import { Empty, Mark, useNow } from '../../ui/bits';
import { Dialog } from '../../ui/dialog';
import { Field, Form } from '../../ui/form';
import { Icon } from '../../ui/icons';
import { DraftDialog } from './draft';


const STANDING: Record<Standing, { tone: string; icon: string }> = {
  'in-force': { tone: 'live', icon: 'check' },
  suspended: { tone: 'old', icon: 'pause' },
  'not-yet-valid': { tone: 'wait', icon: 'waiting' },
  draft: { tone: 'wait', icon: 'waiting' },
  expired: { tone: 'bad', icon: 'offline' },
  revoked: { tone: 'bad', icon: 'refused' },
  none: { tone: 'none', icon: 'refused' },
};

export function standingOf(a: Agreement): Standing {
  if (a.in_force) return 'in-force';
  if (a.state === 'suspended' || a.state === 'revoked' || a.state === 'draft') return a.state;
  if (a.state === 'withdrawn') return 'none';
  return new Date(a.valid_from).getTime() > Date.now() ? 'not-yet-valid' : 'expired';
}

const speaksFor = (zone: string) => may('govern-agreement') && (me.value?.zones.includes(zone) ?? false);
const mayDraft = (zone?: string) => may('draft-agreement') && (me.value?.role !== 'zone-authority' || zone === undefined || (me.value?.zones.includes(zone) ?? false));

export function Agreements() {
  const [states, setStates] = useState<ZoneState[]>([]);
  const [list, setList] = useState<Agreement[] | null>(null);
  const [zone, setZone] = useState<string | null>(null);
  const [drafting, setDrafting] = useState<Agreement | 'new' | null>(null);
  const version = agreementsChanged.value;
  // Only those who may see the wall are told of changes; the others ask now and then.
  const turn = useNow(20_000);
  const asked = may('view-wall') ? 0 : turn;
  useEffect(() => {
    void readLaw();
    if (may('read-registry')) void attempt(readRegistry);
  }, []);
  useEffect(() => {
    void attempt(async () => {
      const [z, a] = await Promise.all([get<ZoneState[] | { items: ZoneState[] }>('/zones/state'), all<Agreement>('/agreements')]);
      setStates(Array.isArray(z) ? z : z.items);
      setList(a);
    });
  }, [version, asked]);
  const opened = path.value[1];
  const shown = (list ?? []).filter((a) => !zone || a.zone === zone).sort((a, b) => (a.id < b.id ? 1 : -1));
  return (
    <main class="page">
      <header class="page-head">
        <h1>{t('nav.agreements')}</h1>
        {mayDraft() && <button type="button" class="primary" onClick={() => setDrafting('new')}><Icon name="plus" /> {t('agreement.draft')}</button>}
      </header>
      <section aria-label={t('agreement.zones')}>
        <h2 class="unseen">{t('agreement.zones')}</h2>
        <ul class="zones" role="list">
          {states.map((state) => {
            const look = STANDING[state.state] ?? STANDING.none;
            return (
              <li key={state.zone}>
                <button type="button" class={`zone-card tone-${look.tone} ${zone === state.zone ? 'on' : ''}`} data-zone={state.zone} data-standing={state.state} aria-pressed={zone === state.zone} onClick={() => setZone(zone === state.zone ? null : state.zone)}>
                  <span class="zone-name">{state.name}</span>
                  <Mark tone={look.tone} icon={look.icon}>{t(`standing.${state.state}`)}</Mark>
                  <span class="grants">
                    {(['live', 'record', 'export'] as const).map((what) => (
                      <span key={what} class={state[what] ? 'granted' : 'withheld'}><Icon name={state[what] ? 'check' : 'close'} /> {t(`grant.${what}`)}</span>
                    ))}
                  </span>
                  <small>{[state.until && t(state.state === 'not-yet-valid' ? 'agreement.from' : 'agreement.until', { date: day(state.until) }), state.drafts.length > 0 && t('agreement.drafts', { count: state.drafts.length })].filter(Boolean).join(' · ')}</small>
                </button>
              </li>
            );
          })}
        </ul>
      </section>
      {list && shown.length === 0 && <Empty>{t('agreement.none')}</Empty>}
      {shown.length > 0 && (
        <div class="table-box" role="region" aria-label={t('nav.agreements')}>
          <table>
            <thead><tr><th scope="col">{t('common.id')}</th><th scope="col">{t('common.zone')}</th><th scope="col">{t('agreement.title')}</th><th scope="col">{t('agreement.state')}</th><th scope="col">{t('agreement.grants')}</th><th scope="col">{t('agreement.units')}</th><th scope="col">{t('agreement.valid')}</th></tr></thead>
            <tbody>
              {shown.map((a) => {
                const standing = standingOf(a);
                return (
                  <tr key={a.id}>
                    <td class="figure" data-label={t('common.id')}><a href={href('agreements', a.id)}>{a.id}</a></td>
                    <td data-label={t('common.zone')}>{zoneName(a.zone)}</td>
                    <td data-label={t('agreement.title')}>{a.title}</td>
                    <td data-label={t('agreement.state')}><Mark {...STANDING[standing]}>{a.state === 'withdrawn' ? t('standing.withdrawn') : t(`standing.${standing}`)}</Mark></td>
                    <td data-label={t('agreement.grants')}>{(['live', 'record', 'export'] as const).filter((w) => a[w]).map((w) => t(`grant.${w}`)).join(', ')}</td>
                    <td data-label={t('agreement.units')}>{a.units.join(', ')}</td>
                    <td data-label={t('agreement.valid')}>{day(a.valid_from)} – {day(a.valid_to)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {opened && <AgreementDialog key={opened} id={opened} edit={setDrafting} />}
      {drafting && <DraftDialog old={drafting === 'new' ? null : drafting} zone={zone} close={() => setDrafting(null)} />}
    </main>
  );
}

function AgreementDialog({ id, edit }: { id: string; edit: (a: Agreement) => void }) {
  const [a, setA] = useState<Agreement | null>(null);
  const [asking, setAsking] = useState<'suspend' | 'revoke' | 'withdraw' | null>(null);
  const close = () => go('agreements');
  const version = agreementsChanged.value;
  useEffect(() => void attempt(async () => setA(await get<Agreement>(`/agreements/${encodeURIComponent(id)}`))), [id, version]);
  if (!a) return null;
  const step = async (verb: string, body: object = {}) => {
    await post(`/agreements/${encodeURIComponent(id)}/${verb}`, body);
    say(t(`agreement.done.${verb}`, { id }));
    agreementsChanged.value++;
  };
  const standing = standingOf(a);
  const governs = speaksFor(a.zone);
  return (
    <Dialog title={`${a.id} · ${a.title}`} close={close} wide>
      <p><Mark {...STANDING[standing]}>{a.state === 'withdrawn' ? t('standing.withdrawn') : t(`standing.${standing}`)}</Mark> {a.why && <span class="sub">{a.why}</span>}</p>
      <dl class="facts-list">
        <dt>{t('common.zone')}</dt><dd>{zoneName(a.zone)}</dd>
        <dt>{t('agreement.parties')}</dt><dd>{a.parties.join(', ')}</dd>
        <dt>{t('agreement.purposes')}</dt><dd>{a.purposes.map(purposeText).join(' · ')}</dd>
        <dt>{t('agreement.grants')}</dt><dd>{(['live', 'record', 'export'] as const).map((w) => `${t(`grant.${w}`)}: ${a[w] ? t('common.yes') : t('common.no')}`).join(' · ')}</dd>
        <dt>{t('agreement.units')}</dt><dd>{a.units.join(', ')}</dd>
        <dt>{t('agreement.tags')}</dt><dd>{a.tags.length ? a.tags.join(', ') : t('agreement.allCameras')}</dd>
        <dt>{t('agreement.valid')}</dt><dd>{day(a.valid_from)} – {day(a.valid_to)}</dd>
        <dt>{t('agreement.signedBy')}</dt><dd>{a.signed_by ? `${a.history?.find((h) => h.what === 'signed')?.name ?? a.signed_by} · ${dateTime(a.signed_at)}` : '–'}</dd>
      </dl>
      {asking ? (
        <ReasonForm verb={asking} cancel={() => setAsking(null)} submit={async (reason) => { await step(asking, reason ? { reason } : {}); setAsking(null); }} />
      ) : (
        <div class="buttons">
          {a.state === 'draft' && governs && (
            <button type="button" class="primary" disabled={a.drafted_by === me.value?.account} title={a.drafted_by === me.value?.account ? t('agreement.notYourself') : undefined} onClick={() => void attempt(() => step('sign', { version: a.version }))}>{t('agreement.sign')}</button>
          )}
          {a.state === 'draft' && mayDraft(a.zone) && <button type="button" onClick={() => edit(a)}>{t('common.edit')}</button>}
          {a.state === 'draft' && mayDraft(a.zone) && <button type="button" onClick={() => setAsking('withdraw')}>{t('agreement.withdraw')}</button>}
          {a.state === 'signed' && governs && <button type="button" onClick={() => setAsking('suspend')}>{t('agreement.suspend')}</button>}
          {a.state === 'suspended' && governs && <button type="button" class="primary" onClick={() => void attempt(() => step('resume'))}>{t('agreement.resume')}</button>}
          {(a.state === 'signed' || a.state === 'suspended') && governs && <button type="button" class="bad" onClick={() => setAsking('revoke')}>{t('agreement.revoke')}</button>}
        </div>
      )}
      {a.state === 'draft' && governs && a.drafted_by === me.value?.account && <p class="hint">{t('agreement.notYourself')}</p>}
      <h3>{t('agreement.history')}</h3>
      <ol class="history">
        {(a.history ?? []).map((entry, i) => (
          <li key={i}><b>{word('step_taken', entry.what)}</b> · {entry.name || entry.by} · {dateTime(entry.at)}{entry.reason && <p class="sub">{entry.reason}</p>}</li>
        ))}
      </ol>
    </Dialog>
  );
}

function ReasonForm({ verb, submit, cancel }: { verb: 'suspend' | 'revoke' | 'withdraw'; submit: (reason: string) => Promise<void>; cancel: () => void }) {
  const [reason, setReason] = useState('');
  return (
    <Form button={t(`agreement.${verb}`)} tone="bad" submit={() => submit(reason)} cancel={cancel} cancelText={t('common.cancel')}>
      <p class="wrong-hint">{t(`agreement.warn.${verb}`)}</p>
      <Field label={t('common.reason')} value={reason} set={setReason} required={verb !== 'withdraw'} area />
    </Form>
  );
}

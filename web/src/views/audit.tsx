// The audit log: filtered, paged, verified, exported. Read only, like the log itself.
import { useEffect, useState } from 'preact/hooks';
import { exchange, get, query, save } from '../api/client';
import type { AuditRecord, Findings, Page } from '../api/types';
import { dateTime, number, t, word } from '../i18n';
import { attempt } from '../state/notices';
import { readRegistry, zones } from '../state/registry';
import { may } from '../state/session';
import { Empty, Mark } from '../ui/bits';
import { Dialog } from '../ui/dialog';
import { Choice, Field } from '../ui/form';

interface Filter { from: string; to: string; kind: string; camera: string; zone: string; account: string; incident: string }
const NONE: Filter = { from: '', to: '', kind: '', camera: '', zone: '', account: '', incident: '' };
const PAGE = 100;

const wire = (filter: Filter) => ({
  ...filter,
  from: filter.from ? new Date(filter.from).toISOString() : '',
  to: filter.to ? new Date(filter.to).toISOString() : '',
});

export function Audit() {
  const [filter, setFilter] = useState<Filter>(NONE);
  const [records, setRecords] = useState<AuditRecord[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [findings, setFindings] = useState<Findings | null>(null);
  const [verifying, setVerifying] = useState(false);
  const [opened, setOpened] = useState<AuditRecord | null>(null);
  const set = (part: Partial<Filter>) => setFilter({ ...filter, ...part });
  useEffect(() => {
    if (may('read-registry')) void attempt(readRegistry);
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => void attempt(async () => {
      const page = await get<Page<AuditRecord>>(query('/audit', { ...wire(filter), limit: PAGE }));
      setRecords(page.items);
      setNext(page.next);
    }), records === null ? 0 : 300);
    return () => clearTimeout(timer);
  }, [filter]);
  const more = () => attempt(async () => {
    const page = await get<Page<AuditRecord>>(query('/audit', { ...wire(filter), limit: PAGE, after: next }));
    setRecords([...(records ?? []), ...page.items]);
    setNext(page.next);
  });
  const verify = async () => {
    setVerifying(true);
    await attempt(async () => {
      const found = await get<Findings>('/audit/verify');
      // The verification is on record itself.
      const page = await get<Page<AuditRecord>>(query('/audit', { ...wire(filter), limit: PAGE }));
      setRecords(page.items);
      setNext(page.next);
      setFindings(found);
    });
    setVerifying(false);
  };
  const good = findings?.faults_total === 0;
  return (
    <main class="page audit">
      <header class="page-head">
        <h1>{t('nav.audit')}</h1>
        <span class="page-actions">
          <button type="button" class="primary" disabled={verifying} onClick={() => void verify()}>{verifying ? t('audit.verifying') : t('audit.verify')}</button>
          <button type="button" onClick={() => void attempt(async () => save(await exchange('GET', query('/audit/export.jsonl', wire(filter))), 'audit.jsonl'))}>{t('audit.export')}</button>
        </span>
      </header>
      {findings && (
        <div class={`verdict-box tone-${good ? 'live' : 'bad'}`} role="status">
          <Mark tone={good ? 'live' : 'bad'} icon={good ? 'check' : 'offline'}>{good ? t('audit.whole') : t('audit.broken', { count: findings.faults_total })}</Mark>
          <span>{t('audit.verified', { records: number(findings.records), signatures: number(findings.signatures + findings.file_signatures), verdict: word('verdict', findings.verdict) })}</span>
          {!good && <ul>{findings.faults.map((f, i) => <li key={i}>{faultText(f)}</li>)}</ul>}
        </div>
      )}
      <form class="filters" onSubmit={(e) => e.preventDefault()} aria-label={t('audit.filter')}>
        <Field label={t('audit.from')} type="datetime-local" value={filter.from} set={(from) => set({ from })} />
        <Field label={t('audit.to')} type="datetime-local" value={filter.to} set={(to) => set({ to })} />
        <Choice label={t('audit.kind')} value={filter.kind} set={(kind) => set({ kind })} options={[['', t('common.all')], ...ROOMS.map((room): [string, string] => [`${room}.*`, word('auditRoom', room)])]} />
        <Field label={t('audit.camera')} value={filter.camera} set={(camera) => set({ camera: camera.trim() })} autocomplete="off" />
        {zones.value.length ? (
          <Choice label={t('common.zone')} value={filter.zone} set={(zone) => set({ zone })} options={[['', t('common.all')], ...zones.value.map((z): [string, string] => [z.id, z.name])]} />
        ) : (
          <Field label={t('common.zone')} value={filter.zone} set={(zone) => set({ zone: zone.trim() })} autocomplete="off" />
        )}
        <Field label={t('audit.account')} value={filter.account} set={(account) => set({ account: account.trim() })} autocomplete="off" />
        <Field label={t('incident.one')} value={filter.incident} set={(incident) => set({ incident: incident.trim() })} autocomplete="off" />
        <button type="button" onClick={() => setFilter(NONE)}>{t('audit.clear')}</button>
      </form>
      {records && records.length === 0 && <Empty>{t('audit.none')}</Empty>}
      {records && records.length > 0 && (
        <div class="table-box" role="region" aria-label={t('audit.records')}>
          <table>
            <thead>
              <tr><th scope="col">{t('audit.seq')}</th><th scope="col">{t('audit.at')}</th><th scope="col">{t('audit.what')}</th><th scope="col">{t('audit.who')}</th><th scope="col">{t('audit.about')}</th><th scope="col">{t('audit.why')}</th></tr>
            </thead>
            <tbody>
              {records.map((record) => (
                <tr key={record.seq} data-kind={record.event.kind}>
                  <td class="figure" data-label={t('audit.seq')}><button type="button" class="link" aria-label={t('audit.open', { seq: record.seq })} onClick={() => setOpened(record)}>{record.seq}</button></td>
                  <td class="figure" data-label={t('audit.at')}>{dateTime(record.at)}</td>
                  <td data-label={t('audit.what')}><b>{kindText(record.event.kind)}</b><small>{record.event.kind}</small></td>
                  <td data-label={t('audit.who')}>{record.by.name}<Small of={[record.by.role && word('role', record.by.role), record.by.address]} /></td>
                  <td data-label={t('audit.about')}>{[record.event.camera, record.event.zone, record.event.screen, record.event.subject].filter(Boolean).join(' · ')}</td>
                  <td data-label={t('audit.why')}>{record.event.reason}<Small of={[record.event.incident, record.event.agreement]} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next && <div class="buttons"><button type="button" onClick={() => void more()}>{t('common.more')}</button></div>}
      {opened && (
        <Dialog title={t('audit.record', { seq: opened.seq })} close={() => setOpened(null)} wide>
          <pre class="raw">{JSON.stringify(opened, null, 2)}</pre>
        </Dialog>
      )}
    </main>
  );
}

/** A second line, where there is something to say. */
function Small({ of }: { of: (string | null | undefined)[] }) {
  const text = of.filter(Boolean).join(' · ');
  return text ? <small>{text}</small> : null;
}

/** What happened, in the person's language where the page knows it. */
function kindText(kind: string): string {
  const key = kind.replace('.', '_');
  const text = word('auditKind', key);
  return text === key ? kind : text;
}

const ROOMS = ['showing', 'wall', 'layout', 'tour', 'alarm', 'incident', 'agreement', 'login', 'account', 'token', 'camera', 'zone', 'site', 'registry', 'snapshot', 'preview', 'log', 'audit'];

function faultText(fault: Record<string, unknown>): string {
  return Object.entries(fault).filter(([, v]) => v !== null && v !== undefined).map(([k, v]) => `${k}: ${typeof v === 'object' ? JSON.stringify(v) : String(v)}`).join(' · ');
}

// Incidents: what was opened, by whom, why, and on which legal basis.
import { useEffect, useState } from 'preact/hooks';
import { all } from '../api/client';
import type { Incident } from '../api/types';
import { dateTime, t } from '../i18n';
import { basisText, purposeText, readLaw } from '../state/law';
import { attempt } from '../state/notices';
import { may } from '../state/session';
import { wall } from '../state/wall';
import { clockText, Empty, Mark, useNow } from '../ui/bits';
import { Icon } from '../ui/icons';
import { asked, choose, incidentsChanged, keep, mayClose } from './banner';

export function Incidents() {
  const [list, setList] = useState<Incident[] | null>(null);
  const [closedToo, setClosedToo] = useState(true);
  const now = useNow(1000);
  const version = incidentsChanged.value;
  useEffect(() => {
    void readLaw();
    void attempt(async () => setList(await all<Incident>('/incidents')));
  }, [version]);
  const shown = (list ?? []).filter((i) => closedToo || i.state !== 'closed').sort((a, b) => (a.opened_at < b.opened_at ? 1 : -1));
  return (
    <main class="page">
      <header class="page-head">
        <h1>{t('nav.incidents')}</h1>
        <span class="page-actions">
          <label class="check"><input type="checkbox" checked={closedToo} onChange={(e) => setClosedToo(e.currentTarget.checked)} /><span>{t('incident.closedToo')}</span></label>
          {may('incident') && <button type="button" class="primary" onClick={() => (asked.value = { kind: 'open' })}><Icon name="plus" /> {t('incident.open')}</button>}
        </span>
      </header>
      {list && shown.length === 0 && <Empty>{t('incident.noneYet')}</Empty>}
      <ul class="cards" role="list">
        {shown.map((incident) => {
          const left = incident.state === 'closing' && incident.ends_at ? new Date(incident.ends_at).getTime() - now : null;
          const onWall = wall.value?.incident === incident.id;
          return (
            <li key={incident.id} class={`card incident ${incident.state}`} data-incident={incident.id}>
              <header>
                <h2>{incident.id} · {incident.title}</h2>
                <Mark tone={incident.state === 'open' ? 'live' : incident.state === 'closing' ? 'old' : 'none'} icon={incident.state === 'open' ? 'check' : incident.state === 'closing' ? 'old' : 'stop'}>
                  {t(`incidentState.${incident.state}`)}{left !== null && ` · ${clockText(left)}`}
                </Mark>
              </header>
              <p>{incident.reason}</p>
              <dl class="facts-list">
                <dt>{t('incident.purpose')}</dt><dd>{purposeText(incident.purpose)}</dd>
                <dt>{t('incident.basis')}</dt><dd>{basisText(incident.legal_basis, incident.legal_text)}</dd>
                <dt>{t('incident.reference')}</dt><dd>{incident.reference}</dd>
                <dt>{t('incident.openedBy')}</dt><dd>{incident.opened_name ?? incident.opened_by} · {dateTime(incident.opened_at)}</dd>
                {incident.closed_at && (<><dt>{t('incident.closedAt')}</dt><dd>{dateTime(incident.closed_at)}</dd></>)}
              </dl>
              {incident.state !== 'closed' && (
                <div class="buttons">
                  {may('operate-wall') && !onWall && <button type="button" onClick={() => void choose(incident.id)}>{t('incident.useForWall')}</button>}
                  {onWall && <Mark tone="live" icon="check">{t('incident.present')}</Mark>}
                  {incident.state === 'closing' && mayClose(incident) && <button type="button" class="primary" onClick={() => void keep(incident.id)}>{t('incident.keep')}</button>}
                  {incident.state === 'open' && mayClose(incident) && <button type="button" onClick={() => (asked.value = { kind: 'close', incident })}>{t('incident.close')}</button>}
                </div>
              )}
            </li>
          );
        })}
      </ul>
    </main>
  );
}

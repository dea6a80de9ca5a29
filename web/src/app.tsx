// The shell: who is logged in decides which views there are; banners say what holds for all of them.
import { useEffect, useState } from 'preact/hooks';
import { lazy, Suspense } from 'preact/compat';
import { close as closeEvents, connection, open as openEvents } from './api/events';
import { t, word } from './i18n';
import { known, listen, sheet, shortcuts } from './state/keys';
import { say } from './state/notices';
import { readRegistry } from './state/registry';
import { go, href, path } from './state/router';
import { logout, may, me, unreachable } from './state/session';
import { forget, hear, heardAt, openAlarms, readIncident, readWall, refreshState, wall } from './state/wall';
import { Notices, useNow } from './ui/bits';
import { silent as heardNothing, trusted, watchTrust } from './state/cameras';
import { Dialog } from './ui/dialog';
import { Icon } from './ui/icons';
import { incidentsChanged, IncidentBanner, IncidentDialogs } from './views/banner';
import { Login, Unreachable } from './views/login';
import { agreementsChanged } from './state/changed';
import type { Permission } from './api/types';

const WallView = lazy(() => import('./views/wall').then((m) => ({ default: m.WallView })));
const Cameras = lazy(() => import('./views/cameras').then((m) => ({ default: m.Cameras })));
const Agreements = lazy(() => import('./views/agreements').then((m) => ({ default: m.Agreements })));
const Incidents = lazy(() => import('./views/incidents').then((m) => ({ default: m.Incidents })));
const Audit = lazy(() => import('./views/audit').then((m) => ({ default: m.Audit })));
const Accounts = lazy(() => import('./views/people').then((m) => ({ default: m.Accounts })));
const Myself = lazy(() => import('./views/people').then((m) => ({ default: m.Myself })));

/** After the last of several changes, so that an import is read once. */
const REGISTRY_SETTLES_MS = 1500;
let registryTimer: ReturnType<typeof setTimeout> | undefined;
function rereadRegistry() {
  clearTimeout(registryTimer);
  registryTimer = setTimeout(() => void readRegistry().catch(() => {}), REGISTRY_SETTLES_MS);
}

interface View { name: string; permission: Permission; component: preact.ComponentType }
const VIEWS: View[] = [
  { name: 'wall', permission: 'view-wall', component: WallView },
  { name: 'cameras', permission: 'read-registry', component: Cameras },
  { name: 'agreements', permission: 'read-agreement', component: Agreements },
  { name: 'incidents', permission: 'incident', component: Incidents },
  { name: 'audit', permission: 'read-audit', component: Audit },
  { name: 'accounts', permission: 'manage-people', component: Accounts },
  { name: 'myself', permission: 'myself', component: Myself },
];

export function App() {
  if (unreachable.value) return <Unreachable />;
  if (me.value === undefined) return <main class="front"><p class="nothing">Vitrail</p></main>;
  return (
    <>
      {me.value === null ? <Login /> : <Inside key={me.value.account} />}
      <Notices />
    </>
  );
}

function Inside() {
  const views = VIEWS.filter((view) => may(view.permission));
  useEffect(() => {
    const stopKeys = listen();
    const stopTrust = watchTrust();
    const mine = shortcuts([
      { keys: '?', group: 'everywhere', does: 'key.sheet', run: () => (sheet.value = true) },
      { keys: '+', group: 'everywhere', does: 'key.larger', run: () => resize(1) },
      { keys: '-', group: 'everywhere', does: 'key.smaller', run: () => resize(-1) },
      ...views.map((view, i) => ({ keys: `Alt+${i + 1}`, group: 'everywhere', does: `nav.${view.name}`, run: () => go(view.name) })),
    ]);
    return () => {
      mine();
      stopKeys();
      stopTrust();
    };
  }, []);
  useEffect(() => {
    if (!may('view-wall')) return;
    openEvents(
      (name, data) => {
        if (name === 'wall' || name === 'layout') hear(name, data);
        else if (name === 'missed') void readWall().catch(() => {});
        else if (name === 'incident') {
          incidentsChanged.value++;
          void readIncident();
        }
        else if (name === 'agreement') agreementsChanged.value++;
        else if (name === 'registry') rereadRegistry();
        else if (name === 'notice' && data && typeof data === 'object' && 'text' in data) say(String((data as { text: unknown }).text), 'warn');
        if (name === 'incident' || name === 'alarm' || name === 'tour' || name === 'agreement') void refreshState();
      },
      () => void readWall().catch(() => {}),
    );
    return () => {
      closeEvents();
      forget();
    };
  }, []);
  const view = views.find((v) => v.name === path.value[0]) ?? views[0];
  const View = view?.component;
  const alarms = openAlarms.value.length;
  const [menu, setMenu] = useState(false);
  // A small screen's menu closes when a view was chosen.
  useEffect(() => setMenu(false), [view]);
  const sure = !may('view-wall') || !wall.value || trusted.value;
  return (
    <div class={`shell ${sure ? '' : 'unsure'}`}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.querySelector<HTMLElement>('main [tabindex="0"], main input, main button, main a')?.focus(); }}>{t('common.skip')}</a>
      <header class="top">
        <p class="brand"><span class="panes" aria-hidden="true"><i /><i /><i /><i /></span>Vitrail</p>
        <button type="button" class="quiet menu-button" aria-expanded={menu} aria-controls="menu" onClick={() => setMenu(!menu)}>
          <Icon name={menu ? 'close' : 'menu'} /> {view ? t(`nav.${view.name}`) : t('nav.menu')}
          {alarms > 0 && view?.name !== 'wall' && <span class="count alarmed">{alarms}</span>}
        </button>
        <nav id="menu" class={menu ? 'open' : ''} aria-label={t('nav.menu')} onClick={() => setMenu(false)} onKeyDown={(e) => e.key === 'Escape' && setMenu(false)}>
          {views.filter((v) => v.name !== 'myself').map((v) => (
            <a key={v.name} href={href(v.name)} aria-current={v === view ? 'page' : undefined}>
              {t(`nav.${v.name}`)}
              {v.name === 'wall' && alarms > 0 && <span class="count alarmed">{alarms}</span>}
            </a>
          ))}
        </nav>
        <IncidentBanner />
        <span class="who">
          <Connection />
          <button type="button" class="quiet icon-only" aria-label={t('key.sheet')} onClick={() => (sheet.value = true)}><b aria-hidden="true">?</b></button>
          <a class="myself" href={href('myself')} aria-current={view?.name === 'myself' ? 'page' : undefined}>{me.value?.name}<small>{word('role', me.value?.role)}</small></a>
          <button type="button" class="quiet" onClick={() => void logout()}>{t('login.leave')}</button>
        </span>
      </header>
      <Banners />
      <div id="main" class="view">
        <Suspense fallback={<p class="nothing">{t('common.loading')}</p>}>{View && <View />}</Suspense>
      </div>
      {sheet.value && <KeySheet />}
      <IncidentDialogs />
    </div>
  );
}

const KEPT = 'vitrail.size';
const SIZES = [0.85, 1, 1.15, 1.35, 1.6];

/** Larger or smaller letters everywhere, kept in this browser: a wall of screens is read from 3 m. */
export function resize(by: number) {
  const at = Math.max(0, SIZES.indexOf(Number(localStorage.getItem(KEPT) ?? 1)));
  const size = SIZES[Math.max(0, Math.min(SIZES.length - 1, at + by))]!;
  localStorage.setItem(KEPT, String(size));
  document.documentElement.style.setProperty('--size', String(size));
  window.dispatchEvent(new Event('resize'));
}

function Connection() {
  if (!may('view-wall')) return null;
  const state = connection.value.state;
  const good = state === 'open';
  return (
    <span class={`connection tone-${good ? 'live' : 'old'}`} role="status" data-connection={state}>
      <Icon name={good ? 'link' : 'old'} label={t(good ? 'connection.open' : 'connection.lost')} />
    </span>
  );
}

/** What is wrong for everything on the page, in one place and in plain words. */
function Banners() {
  const now = useNow(1000);
  const link = connection.value;
  const watching = may('view-wall');
  const silent = watching && link.state !== 'lost' && heardNothing.value;
  return (
    <div class="banners" role="alert">
      {watching && link.state === 'lost' && (
        <p class="banner tone-old"><Icon name="old" /><b>{t('connection.lostLong', { since: Math.round((now - link.since) / 1000) })}</b> {t('connection.retry', { seconds: Math.max(0, Math.ceil((link.retryAt - now) / 1000)) })}</p>
      )}
      {silent && <p class="banner tone-old"><Icon name="old" /><b>{t('connection.silent', { since: Math.round((now - heardAt.value) / 1000) })}</b></p>}
      {wall.value && !wall.value.log_ok && <p class="banner tone-bad"><Icon name="offline" /><b>{t('connection.logBroken')}</b> {wall.value.log_trouble}</p>}
    </div>
  );
}

/** Keys that act on a focused tile; the tile grid itself listens to them. */
const TILE_SHEET: [string, string][] = [
  ['←↑↓→', 'key.moveTile'], ['1…99', 'key.number'], ['Enter', 'key.put'], ['S', 'wall.spotlight'], ['X', 'wall.swap'], ['P', 'wall.pin'], ['L', 'wall.lock'],
  ['Z', 'wall.zoom'], ['F', 'wall.fit'], ['Del', 'wall.clear'], ['C', 'wall.snapshot'], ['M', 'wall.move'], ['Shift+←↑↓→', 'key.grow'], ['Esc', 'key.drop'],
];

function KeySheet() {
  const groups = [...new Set(known.value.map((s) => s.group))];
  return (
    <Dialog title={t('key.sheet')} close={() => (sheet.value = false)} wide>
      <div class="key-groups">
        {groups.map((group) => (
          <section key={group}>
            <h3>{t(`keyGroup.${group}`)}</h3>
            <dl class="keys">
              {known.value.filter((s) => s.group === group && (!s.when || group !== 'wall' || may('operate-wall'))).map((s) => (<><dt><kbd>{s.keys.split(' ')[0]}</kbd></dt><dd>{t(s.does)}</dd></>))}
            </dl>
          </section>
        ))}
        {may('operate-wall') && (
          <section>
            <h3>{t('keyGroup.tile')}</h3>
            <dl class="keys">{TILE_SHEET.map(([keys, does]) => (<><dt><kbd>{keys}</kbd></dt><dd>{t(does)}</dd></>))}</dl>
          </section>
        )}
        <section>
          <h3>{t('keyGroup.cameras')}</h3>
          <dl class="keys">{([['↑↓', 'key.moveList'], ['←→', 'key.fold'], ['Enter', 'key.pick']] as const).map(([keys, does]) => (<><dt><kbd>{keys}</kbd></dt><dd>{t(does)}</dd></>))}</dl>
        </section>
      </div>
    </Dialog>
  );
}

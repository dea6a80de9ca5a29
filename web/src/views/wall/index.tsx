// The wall: all screens, the chosen one live, cameras to the left, what can be done to the right.
import { useEffect, useState } from 'preact/hooks';
import { dateTime, t } from '../../i18n';
import { redo, undo } from '../../state/commands';
import { shortcuts } from '../../state/keys';
import { trusted } from '../../state/cameras';
import { may, personName } from '../../state/session';
import { layout, openAlarms, screen, screenId, screens, wall } from '../../state/wall';
import { Mark } from '../../ui/bits';
import { CameraPicker } from '../cameras/picker';
import { StageBar } from './bar';
import { WallDialogs } from './dialogs';
import { dragged, drop, held } from './hand';
import { Lost } from './lost';
import { Overview } from './overview';
import { TilePanel } from './panel';
import { acknowledge, Alarms, MachinePanel, SavedLayouts, Tours } from './side';
import { type Side, sideShown } from './sides';
import { Stage } from './stage';

function turnScreen(by: number) {
  const list = screens.value;
  const at = list.findIndex((s) => s.id === screen.value?.id);
  const next = list[(at + by + list.length) % list.length];
  if (next) screenId.value = next.id;
}

/** Goes to the search field, with what is in it selected. */
function search() {
  sideShown.value = 'cameras';
  const into = () => {
    const field = document.querySelector<HTMLInputElement>('input[type="search"]');
    field?.focus();
    field?.select();
    return field === document.activeElement;
  };
  // On a small screen it comes up first.
  if (!into()) requestAnimationFrame(into);
}

export function WallView() {
  const [side, setSide] = useState(true);
  useEffect(() => {
    const operate = () => may('operate-wall');
    const mine = shortcuts([
      { keys: '[', group: 'wall', does: 'key.screenBefore', run: () => turnScreen(-1) },
      { keys: ']', group: 'wall', does: 'key.screenAfter', run: () => turnScreen(1) },
      { keys: 'w', group: 'wall', does: 'key.toTiles', run: () => document.querySelector<HTMLElement>('[data-tile][tabindex="0"]')?.focus() },
      { keys: '/', group: 'wall', does: 'key.search', run: search },
      { keys: 'Ctrl+z', group: 'wall', does: 'wall.undo', run: () => void undo(), when: operate },
      { keys: 'Ctrl+y Ctrl+Shift+z', group: 'wall', does: 'wall.redo', run: () => void redo(), when: operate },
      { keys: 'a', group: 'wall', does: 'key.acknowledge', run: () => void acknowledge(openAlarms.value[0]?.id), when: operate },
      { keys: 'h', group: 'wall', does: 'key.sides', run: () => setSide((now) => !now) },
      { keys: 'Escape', group: 'wall', does: 'key.drop', run: drop, when: () => held.value !== null },
    ]);
    return () => {
      mine();
      drop();
    };
  }, []);
  if (!wall.value) return <main class="page"><p class="nothing">{t('common.loading')}</p></main>;
  return (
    <main class={`wall ${side ? '' : 'no-sides'}`} data-side={sideShown.value}>
      <h1 class="unseen">{t('nav.wall')}</h1>
      {side && <SideTabs />}
      {side && <CameraPicker />}
      <div class="middle">
        <Held />
        <Overview />
        <StageBar />
        <Stage />
        <div class="wall-foot">
          <p>
            {t('wall.versionLine', { version: wall.value.version, wall: wall.value.wall, unit: wall.value.unit })}
            <LastChange />
          </p>
          {screen.value && trusted.value && <Lost screen={screen.value} />}
        </div>
      </div>
      {side && (
        <aside class="right" aria-label={t('wall.side')} tabIndex={-1}>
          <TilePanel />
          <Alarms />
          <Tours />
          <SavedLayouts />
          <MachinePanel />
        </aside>
      )}
      <Ghost />
      <WallDialogs />
    </main>
  );
}

function SideTabs() {
  const alarms = openAlarms.value.length;
  const tab = (which: Side, text: string, count = 0) => (
    <button type="button" class={sideShown.value === which ? 'on' : ''} aria-pressed={sideShown.value === which} onClick={() => (sideShown.value = which)}>
      {text} {count > 0 && <span class="count alarmed">{count}</span>}
    </button>
  );
  return (
    <div class="side-tabs tabs" role="group" aria-label={t('wall.sideTabs')}>
      {tab('cameras', t('nav.cameras'))}
      {tab('tile', t('wall.tile'))}
      {tab('more', t('common.more'), alarms)}
    </div>
  );
}

function LastChange() {
  const wish = layout.value;
  return wish?.by ? <span> · {t('wall.lastChange', { by: personName(wish.by), at: dateTime(wish.at) })}</span> : null;
}

/** Says what is in hand, for those who look and those who listen. */
function Held() {
  const now = held.value;
  return (
    <div class={`held ${now ? 'shown' : ''}`} role="status" aria-live="assertive">
      {now && (
        <>
          <Mark tone="hand" icon={now.kind === 'camera' ? 'camera' : 'swap'}>{t(now.kind === 'camera' ? 'wall.inHand' : 'wall.swapInHand', { name: now.name })}</Mark>
          <button type="button" class="small" onClick={drop}>{t('common.cancel')} <kbd aria-hidden="true">Esc</kbd></button>
        </>
      )}
    </div>
  );
}

function Ghost() {
  const now = dragged.value;
  if (!now) return null;
  return <div class={`ghost ${now.over ? 'over' : ''}`} aria-hidden="true" style={{ transform: `translate(${now.x + 12}px, ${now.y + 8}px)` }}>{now.what.name}</div>;
}

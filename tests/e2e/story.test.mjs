// A day in a crisis room, in a real browser against a real wall: what is said to be shown is read from the live picture's pixels.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { accessible, call, dark, login, openBrowser, picture, seenIn, shows, until } from './lib/browser.mjs';
import { startWall, UNIT, ZONES } from './lib/wall.mjs';

const PASSWORD = 'a long pass phrase 7';
const people = { anna: 'operator', sam: 'supervisor', zoe: 'zone-authority', otto: 'auditor' };

describe('the controller', { timeout: 600_000 }, () => {
  let server, browser, root, anna;
  const name = (page) => page.locator('.tile-panel h2');
  const tile = (page, id) => page.locator(`[data-tile="${id}"]`);
  const nav = (page, where) => page.evaluate((to) => (location.hash = `#/${to}`), where);
  const dialog = (page) => page.locator('dialog[open]');

  before(async () => {
    server = await startWall();
    browser = await openBrowser(server.base);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('makes the first administrator with the token of the terminal, once', async () => {
    root = await browser.person();
    await root.getByRole('heading', { name: 'First start' }).waitFor();
    await accessible(root, 'first start');
    await picture(root, 'page-first-start');
    const fill = async (token) => {
      await root.getByLabel('One-time token').fill(token);
      await root.getByLabel("Administrator's name").fill('root');
      await root.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await root.getByLabel('Password again').fill(PASSWORD);
      await root.getByRole('button', { name: 'Make the administrator' }).click();
    };
    await fill('x'.repeat(43));
    await root.locator('.wrong').waitFor();
    await fill(server.token);
    await root.locator('.shell').waitFor();
    assert.equal(await root.locator('nav a', { hasText: 'Wall' }).count(), 0, 'an administrator sees no pictures');
    assert.equal(await root.locator('nav a', { hasText: 'Audit' }).count(), 0);
  });

  it('adds people, one of them by the page', async () => {
    await nav(root, 'accounts');
    await root.getByRole('button', { name: 'New account' }).click();
    await dialog(root).getByLabel('Name', { exact: true }).fill('anna');
    await dialog(root).getByLabel('Role').selectOption('operator');
    await dialog(root).getByLabel('Password').fill(PASSWORD);
    await dialog(root).getByRole('button', { name: 'Save' }).click();
    await root.getByRole('button', { name: 'anna' }).waitFor();
    for (const [person, role] of Object.entries(people).slice(1)) {
      await call(root, 'POST', '/accounts', { name: person, role, password: PASSWORD, zones: role === 'zone-authority' ? ZONES : [] });
    }
    await nav(root, 'myself');
    await root.getByRole('heading', { name: 'root' }).waitFor();
    await accessible(root, 'myself');
    await nav(root, 'accounts');
    await root.getByRole('button', { name: 'otto' }).waitFor();
    await accessible(root, 'accounts');
    await picture(root, 'page-accounts');
  });

  it('drafts an agreement that another person signs for the zone', async () => {
    await nav(root, 'agreements');
    await root.locator('.zone-card').first().waitFor();
    assert.equal(await root.locator('.zone-card').count(), ZONES.length);
    await root.getByRole('button', { name: 'Draft an agreement' }).click();
    const form = dialog(root);
    await form.getByLabel('Zone', { exact: true }).selectOption('north');
    await form.getByLabel('Title').fill('Pictures of north for the region');
    await form.getByLabel('Parties').fill('Police zone north, Region');
    await form.locator('fieldset', { hasText: 'Purposes' }).getByRole('checkbox').first().check();
    await form.getByLabel('Export: hand out').check();
    await form.getByLabel('Units').fill(UNIT);
    await form.getByRole('button', { name: 'Save draft' }).click();
    await root.locator('[data-zone="north"][data-standing="draft"]').waitFor();
    const day = 86_400_000;
    const iso = (days) => new Date(Date.now() + days * day).toISOString();
    const [purpose] = (await call(root, 'GET', '/purposes')).items ?? (await call(root, 'GET', '/purposes'));
    for (const zone of ZONES.slice(1)) {
      await call(root, 'POST', '/agreements', {
        zone, title: `Pictures of ${zone}`, parties: [zone, 'Region'], purposes: [purpose.word], live: true, record: false, export: true, units: [UNIT], tags: [], valid_from: iso(-1), valid_to: iso(300),
      });
    }
    const zoe = await browser.person();
    await login(zoe, 'zoe', PASSWORD);
    await nav(zoe, 'agreements');
    await zoe.getByRole('link', { name: /^A-/ }).last().click();
    await dialog(zoe).getByRole('button', { name: 'Sign for the zone' }).click();
    await dialog(zoe).getByText('in force').waitFor();
    await accessible(zoe, 'an agreement');
    await picture(zoe, 'page-agreement');
    const drafts = (await call(zoe, 'GET', '/agreements?limit=100')).items.filter((a) => a.state === 'draft');
    assert.equal(drafts.length, ZONES.length - 1);
    for (const draft of drafts) await call(zoe, 'POST', `/agreements/${draft.id}/sign`, { version: draft.version });
    await dialog(zoe).getByRole('button', { name: 'Close' }).click();
    await zoe.reload();
    await until('all zones in force', async () => (await zoe.locator('[data-standing="in-force"]').count()) === ZONES.length);
    await accessible(zoe, 'agreements');
    await picture(zoe, 'page-agreements');
    await zoe.context().close();
  });

  it('shows nothing without an incident, and says why', async () => {
    anna = await browser.person();
    await accessible(anna, 'login');
    await picture(anna, 'page-login');
    await anna.getByLabel('Name', { exact: true }).fill('anna');
    await anna.getByLabel('Password', { exact: true }).fill('wrong');
    await anna.getByRole('button', { name: 'Log in', exact: true }).click();
    await anna.locator('.wrong').waitFor();
    await login(anna, 'anna', PASSWORD);
    await anna.getByText('No incident: nothing may be shown').waitFor();
    await until('refused tiles', async () => (await anna.locator('[data-tile][data-state="refused"]').count()) === 4);
    await tile(anna, 'left.1').click();
    await anna.locator('.tile-panel .why', { hasText: 'No incident is open' }).waitFor();
    await anna.locator('[data-feed="live"]').waitFor();
    await dark(anna, 'left.1');
    assert.equal(await anna.locator('nav a', { hasText: 'Accounts' }).count(), 0);
  });

  it('opens an incident, and the wall comes alive', async () => {
    await anna.getByRole('button', { name: 'Open incident' }).click();
    const form = dialog(anna);
    await form.getByLabel('Title').fill('Demonstration, Central Square');
    await form.getByLabel('Reason').fill('Announced demonstration, 5,000 people expected');
    await form.getByLabel('Purpose').selectOption({ index: 1 });
    await form.getByLabel('Legal basis').selectOption({ index: 1 });
    await form.getByLabel('Reference').fill('PV 2026/118');
    await accessible(anna, 'opening an incident');
    await picture(anna, 'page-incident');
    await form.getByRole('button', { name: 'Open incident' }).click();
    await anna.locator('.incident-banner.open', { hasText: 'Demonstration' }).waitFor();
    for (const n of [1, 2, 3, 4]) await shows(anna, `left.${n}`, n, 30_000);
    await until('four tiles live', async () => (await anna.locator('[data-tile][data-state="live"]').count()) === 4);
    await anna.locator('[data-feed="live"]').waitFor();
    await accessible(anna, 'the wall');
    await picture(anna, 'page-wall');
  });

  it('moves: the live picture changes from frame to frame', async () => {
    const frames = new Set();
    await until('ten different pictures', async () => {
      const { code } = await seenIn(anna, 'left.1');
      if (code?.frame !== null && code) frames.add(code.frame);
      return frames.size >= 10;
    });
  });

  it('shows a camera that is dragged onto a tile, moving, on the live wall', async () => {
    await anna.getByRole('searchbox').fill('street 9');
    const row = anna.locator('[data-camera-row="cam-9"]');
    await row.waitFor();
    const from = await row.boundingBox();
    const to = await tile(anna, 'left.2').boundingBox();
    await anna.mouse.move(from.x + 60, from.y + 20);
    await anna.mouse.down();
    await anna.mouse.move(to.x + 60, to.y + 60, { steps: 6 });
    await tile(anna, 'left.2').and(anna.locator('.over')).waitFor();
    await picture(anna, 'page-drag');
    await anna.mouse.up();
    await shows(anna, 'left.2', 9);
    const first = (await seenIn(anna, 'left.2')).code.frame;
    await until('a later picture of it', async () => ![null, undefined, first].includes((await seenIn(anna, 'left.2')).code?.frame));
    await until('its facts', async () => (await name(anna).textContent()) === 'Street 9');
  });

  it('does the same by keyboard alone', async () => {
    await anna.locator('body').press('Escape');
    await anna.evaluate(() => document.activeElement?.blur());
    const keys = async (...list) => {
      for (const key of list) await anna.keyboard.press(key);
    };
    await keys('/');
    await anna.keyboard.type('crossing 10');
    await until('the camera is found', async () => (await anna.locator('[data-camera-row]').count()) === 1);
    await keys('ArrowDown');
    await until('the list has the focus', () => anna.evaluate(() => ['tree', 'listbox'].includes(document.activeElement?.getAttribute('role') ?? '')));
    await keys('Enter');
    await anna.locator('.held.shown', { hasText: 'Crossing 10' }).waitFor();
    await keys('3', 'Enter');
    await shows(anna, 'left.3', 10);
    // And on: arrows walk the tiles, keys act on the one that has the focus.
    await keys('ArrowRight');
    assert.equal(await anna.evaluate(() => document.activeElement.dataset.tile), 'left.4');
    await keys('p');
    await until('pinned', async () => (await tile(anna, 'left.4').getAttribute('aria-label')).includes('pinned'));
    await keys('x', 'ArrowLeft', 'Enter');
    await shows(anna, 'left.4', 10);
    await shows(anna, 'left.3', 4);
    await keys('Control+z');
    await shows(anna, 'left.3', 10);
    await keys('Control+y');
    await shows(anna, 'left.3', 4);
    await keys('?');
    await dialog(anna).getByRole('heading', { name: 'Keyboard shortcuts' }).waitFor();
    await accessible(anna, 'the sheet of shortcuts');
    await picture(anna, 'page-keys');
    await keys('Escape');
    await until('the sheet is closed', async () => (await dialog(anna).count()) === 0);
  });

  it('zooms, spotlights, locks and clears a tile', async () => {
    await tile(anna, 'left.1').click();
    await anna.keyboard.press('z');
    for (let i = 0; i < 3; i++) await anna.keyboard.press('+');
    await until('a crop in the layout', async () => (await call(anna, 'GET', '/wall/layout')).regions[0].tiles[0].crop !== null);
    await dark(anna, 'left.1');
    await anna.keyboard.press('0');
    await anna.keyboard.press('Escape');
    await shows(anna, 'left.1', 1);
    await tile(anna, 'left.1').dblclick();
    await until('one tile over the whole screen', async () => (await anna.locator('[data-tile]').count()) >= 1 && (await tile(anna, 'left.1').boundingBox()).width > 0.9 * (await anna.locator('.screen-frame').boundingBox()).width);
    await shows(anna, 'left.1', 1);
    await tile(anna, 'left.1').dblclick();
    await shows(anna, 'left.2', 9);
    await tile(anna, 'left.2').focus();
    await anna.keyboard.press('l');
    await until('locked', async () => (await tile(anna, 'left.2').getAttribute('aria-label')).includes('locked'));
    await anna.keyboard.press('Delete');
    await anna.locator('.notice', { hasText: 'is locked' }).waitFor();
    await anna.keyboard.press('l');
    await until('unlocked', async () => !(await tile(anna, 'left.2').getAttribute('aria-label')).includes('locked'));
    await anna.keyboard.press('Delete');
    await dark(anna, 'left.2');
    await anna.keyboard.press('Control+z');
    await shows(anna, 'left.2', 9);
  });

  it('divides a screen by a preset, and keeps a layout', async () => {
    await anna.getByRole('button', { name: 'Save this one' }).click();
    await dialog(anna).getByLabel('Name').fill('Evening');
    await dialog(anna).getByRole('button', { name: 'Save' }).click();
    await anna.locator('.panel .list li', { hasText: 'Evening' }).waitFor();
    await anna.getByLabel('Division').selectOption('1+5');
    await until('six tiles or a question', async () => (await anna.locator('[data-tile]').count()) === 6 || (await dialog(anna).count()) === 1);
    if (await dialog(anna).count()) await dialog(anna).getByRole('button', { name: /^Apply/ }).click();
    await until('six tiles', async () => (await anna.locator('[data-tile]').count()) === 6);
    const large = await tile(anna, 'left.1').boundingBox();
    const small = await tile(anna, 'left.2').boundingBox();
    assert.ok(Math.abs(large.width - 2 * small.width) < 6, `${large.width} is twice ${small.width}`);
    await shows(anna, 'left.1', 1);
    await picture(anna, 'page-preset');
    await anna.getByRole('button', { name: 'Apply Evening' }).click();
    await until('four tiles again', async () => (await anna.locator('[data-tile]').count()) === 4 || (await dialog(anna).count()) === 1);
    if (await dialog(anna).count()) await dialog(anna).getByRole('button', { name: /^Apply/ }).click();
    await shows(anna, 'left.2', 9);
  });

  it('tours through cameras, stops for an alarm, and goes on when it is acknowledged', async () => {
    await anna.getByRole('region', { name: 'Tours' }).getByRole('button', { name: 'New' }).click();
    const form = dialog(anna);
    await form.getByLabel('Name', { exact: true }).fill('Round');
    await form.getByLabel('Seconds at each step').fill('2');
    for (const box of await form.locator('fieldset').getByRole('checkbox').all()) await box.setChecked(false);
    await form.locator('fieldset').getByRole('checkbox').first().check();
    for (const camera of ['street 5', 'crossing 6', 'car park 7']) {
      await form.getByLabel('Add a camera').fill(camera);
      await form.getByLabel('Add a camera').press('Enter');
    }
    await accessible(anna, 'a tour');
    await form.getByRole('button', { name: 'Save' }).click();
    const tour = anna.locator('[data-tour="Round"]');
    await tour.getByRole('button', { name: 'Start' }).click();
    const seen = new Set();
    await until('three cameras in turn', async () => {
      const camera = (await seenIn(anna, 'left.1')).code?.camera;
      if (camera) seen.add(camera);
      return [5, 6, 7].every((n) => seen.has(n));
    }, 30_000);
    await call(anna, 'POST', '/alarms', { camera: 'cam-9', kind: 'intrusion', text: 'Gate 2' });
    await anna.locator('.alarm', { hasText: 'Gate 2' }).waitFor();
    await tour.getByText('paused by an alarm').waitFor();
    await tile(anna, 'left.2').and(anna.locator('.alarmed')).waitFor();
    await accessible(anna, 'the wall with an alarm');
    await picture(anna, 'page-alarm');
    await anna.getByRole('button', { name: 'Acknowledge' }).click();
    await until('no alarm', async () => (await anna.locator('.alarm').count()) === 0);
    await tour.getByText('running').waitFor();
    await tour.getByRole('button', { name: 'Stop' }).click();
    await tour.getByText('stopped').waitFor();
  });

  it('shows two operators each other’s changes, and loses none silently', async () => {
    const sam = await browser.person();
    await login(sam, 'sam', PASSWORD);
    await sam.locator('[data-feed="live"]').waitFor();
    // Anna's change is held up on its way, so that Sam is quicker.
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await anna.route('**/api/v1/wall/changes', async (route) => {
      await held;
      await route.continue();
    });
    await anna.locator('body').press('Escape');
    await anna.getByRole('searchbox').fill('street 1');
    await anna.getByRole('button', { name: 'List', exact: true }).click();
    const drag = async (page, camera, target) => {
      const from = await page.locator(`[data-camera-row="${camera}"]`).boundingBox();
      const to = await tile(page, target).boundingBox();
      await page.mouse.move(from.x + 60, from.y + 20);
      await page.mouse.down();
      await page.mouse.move(to.x + 60, to.y + 60, { steps: 4 });
      await page.mouse.up();
    };
    await drag(anna, 'cam-1', 'left.4');
    await sam.getByRole('button', { name: 'List', exact: true }).click();
    await sam.getByRole('searchbox').fill('platform 12');
    await sam.locator('[data-camera-row="cam-12"]').waitFor();
    await drag(sam, 'cam-12', 'left.4');
    await shows(sam, 'left.4', 12);
    release();
    await dialog(anna).getByText('Another operator was quicker').waitFor();
    await dialog(anna).getByText('Platform 12').waitFor();
    await accessible(anna, 'a conflict');
    await picture(anna, 'page-conflict');
    await anna.unroute('**/api/v1/wall/changes');
    await shows(anna, 'left.4', 12);
    await dialog(anna).getByRole('button', { name: 'Make my change on top' }).click();
    await shows(sam, 'left.4', 1);
    await until('Sam is told', async () => (await tile(sam, 'left.4').getAttribute('data-camera')) === 'cam-1');
    await sam.context().close();
  });

  it('hands out a snapshot with a reason', async () => {
    await tile(anna, 'left.1').focus();
    await anna.keyboard.press('c');
    await dialog(anna).getByLabel('Reason').fill('Suspect at the gate');
    const [download] = await Promise.all([anna.waitForEvent('download'), dialog(anna).getByRole('button', { name: 'Take and download' }).click()]);
    assert.match(download.suggestedFilename(), /\.png$/);
  });

  it('says when a camera stops, on the tile and in the panel', async () => {
    const camera = (await seenIn(anna, 'left.2')).code.camera;
    await server.fault(`fault ${camera} silent on`);
    await tile(anna, 'left.2').and(anna.locator('[data-state="stalled"], [data-state="offline"]')).waitFor({ timeout: 20_000 });
    await server.fault(`fault ${camera} off`);
    await shows(anna, 'left.2', camera, 40_000);
  });

  it('darkens the tiles of a zone at once when its agreement is revoked', async () => {
    const camera = (await seenIn(anna, 'left.2')).code.camera;
    const zone = ZONES[(camera - 1) % ZONES.length];
    const zoe = await browser.person();
    await login(zoe, 'zoe', PASSWORD);
    await nav(zoe, 'agreements');
    await zoe.locator(`[data-zone="${zone}"]`).click();
    await zoe.getByRole('link', { name: /^A-/ }).click();
    await dialog(zoe).getByRole('button', { name: 'Revoke' }).click();
    await dialog(zoe).getByLabel('Reason').fill('The zone withdraws its consent');
    await accessible(zoe, 'revoking');
    await Promise.all([dark(anna, 'left.2'), dialog(zoe).getByRole('button', { name: 'Revoke' }).click()]);
    await tile(anna, 'left.2').and(anna.locator('[data-state="refused"]')).waitFor();
    await tile(anna, 'left.2').click();
    await anna.locator('.tile-panel .why', { hasText: /revoked|no agreement/i }).waitFor();
    await shows(anna, 'left.4', 1);
    await picture(anna, 'page-revoked');
    await zoe.context().close();
  });

  it('speaks French and Dutch', async () => {
    for (const [language, word] of [['Français', 'Caméras'], ['Nederlands', "Camera's"], ['English', 'Cameras']]) {
      await nav(anna, 'myself');
      await anna.getByRole('button', { name: language }).click();
      await anna.locator('nav a', { hasText: word }).waitFor();
      await nav(anna, 'wall');
      await anna.locator('.stage .tiles').waitFor();
      const raw = await anna.locator('body').innerText();
      assert.doesNotMatch(raw, /\b(?:wall|state|feed|tour|common|incident)\.[a-z]+[A-Z]?[a-z]*\b/, `a key without words in ${language}`);
      if (language === 'Français') await picture(anna, 'page-wall-fr');
    }
  });

  it('says plainly when the server is lost, and comes back by itself', async () => {
    await anna.locator('[data-connection="open"]').waitFor();
    server.wall.child.kill('SIGSTOP');
    try {
      await anna.locator('.banner', { hasText: 'nothing is known of the wall' }).waitFor({ timeout: 20_000 });
      await picture(anna, 'page-lost');
    } finally {
      server.wall.child.kill('SIGCONT');
    }
    await anna.locator('[data-connection="open"]').waitFor({ timeout: 30_000 });
    await until('no banner', async () => (await anna.locator('.banner').count()) === 0, 20_000);
  });

  it('warns before an incident ends, lets it be kept, and darkens all at its end', async () => {
    await anna.getByRole('button', { name: 'Close incident' }).click();
    await dialog(anna).getByLabel('Warning before the end').selectOption('60');
    await dialog(anna).getByRole('button', { name: 'Close incident' }).click();
    await anna.locator('.countdown', { hasText: 'Ends in' }).waitFor();
    await accessible(anna, 'the wall under an incident that ends');
    await picture(anna, 'page-closing');
    await anna.getByRole('button', { name: 'Keep it open' }).click();
    await until('no countdown', async () => (await anna.locator('.countdown').count()) === 0);
    await nav(anna, 'incidents');
    await anna.locator('.card.incident').waitFor();
    await accessible(anna, 'incidents');
    await picture(anna, 'page-incidents');
    await nav(anna, 'wall');
    await shows(anna, 'left.4', 1, 20_000);
    await anna.getByRole('button', { name: 'Close incident' }).click();
    await dialog(anna).getByLabel('Warning before the end').selectOption('0');
    await dialog(anna).getByRole('button', { name: 'Close incident' }).click();
    await dark(anna, 'left.4');
    await anna.locator('.incident-banner.none').waitFor();
  });

  it('shows cameras as tree, list and map', async () => {
    await nav(anna, 'cameras/cam-9');
    await anna.getByRole('heading', { name: 'Street 9' }).waitFor();
    await anna.getByRole('searchbox').fill('');
    for (const shape of ['Tree', 'List', 'Map']) {
      await anna.getByRole('button', { name: shape, exact: true }).click();
      await anna.locator(shape === 'Map' ? '.camera-mark, .cluster-mark' : '.line').first().waitFor();
      await accessible(anna, `cameras as ${shape}`);
      await picture(anna, `page-cameras-${shape.toLowerCase()}`);
    }
  });

  it('has all of it in the audit log, which is whole', async () => {
    const otto = await browser.person();
    await login(otto, 'otto', PASSWORD);
    await nav(otto, 'audit');
    await otto.locator('tbody tr').first().waitFor();
    await otto.getByRole('button', { name: 'Verify the log' }).click();
    await otto.getByText('The log is whole').waitFor({ timeout: 30_000 });
    const kinds = new Set();
    for (let more = true; more; ) {
      for (const kind of await otto.locator('tbody tr').evaluateAll((rows) => rows.map((row) => row.dataset.kind))) kinds.add(kind);
      const button = otto.getByRole('button', { name: 'More', exact: true });
      more = (await button.count()) > 0;
      if (more) {
        const before = await otto.locator('tbody tr').count();
        await button.click();
        await until('the next page', async () => (await otto.locator('tbody tr').count()) > before || (await button.count()) === 0);
      }
    }
    for (const kind of ['setup.offered', 'account.added', 'agreement.drafted', 'agreement.signed', 'agreement.revoked', 'login.succeeded', 'login.refused', 'incident.opened', 'incident.kept', 'incident.closed', 'showing.started', 'showing.ended', 'showing.refused', 'layout.changed', 'layout.saved', 'tour.started', 'tour.stopped', 'alarm.raised', 'alarm.acknowledged', 'snapshot.taken', 'preview.started', 'preview.ended', 'audit.verified']) {
      assert.ok(kinds.has(kind), `no ${kind} among ${[...kinds].sort().join(', ')}`);
    }
    await otto.getByLabel('Camera id').fill('cam-9');
    await until('records of one camera only', async () => {
      const rows = await otto.locator('tbody tr').allInnerTexts();
      return rows.length > 0 && rows.every((row) => row.includes('cam-9'));
    });
    await accessible(otto, 'audit');
    await picture(otto, 'page-audit');
    const [download] = await Promise.all([otto.waitForEvent('download'), otto.getByRole('button', { name: 'Export' }).click()]);
    assert.match(download.suggestedFilename(), /\.jsonl$/);
    await otto.context().close();
  });

  it('asked no other server for anything, and nothing broke in the page', () => browser.check());
});

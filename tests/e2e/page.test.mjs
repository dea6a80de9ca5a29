// What the page claims, in a real browser against a real wall: one truth about a camera in every view, nothing claimed
// where nothing is known, and a layout that can be used at every size.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { call, login, openBrowser, picture, shows, until } from './lib/browser.mjs';
import { laidOut, SIZES } from './lib/layout.mjs';
import { startWall, UNIT, ZONES } from './lib/wall.mjs';

const PASSWORD = 'a long pass phrase 7';
const people = { anna: 'operator', sam: 'supervisor', zoe: 'zone-authority', otto: 'auditor' };
const iso = (days) => new Date(Date.now() + days * 86_400_000).toISOString();

/* Runs in the page, in one go: what every view says of a camera at this instant. */
function said(camera) {
  const tile = document.querySelector(`[data-tile][data-camera="${camera}"]`);
  const row = document.querySelector(`[data-camera-row="${camera}"]`);
  const mark = document.querySelector(`[data-camera-mark="${camera}"]`);
  const signs = (element) => [...(element?.querySelectorAll('.row-state svg, .state-mark, .signs svg') ?? [])].map((e) => e.textContent || e.getAttribute('aria-label') || '').filter(Boolean);
  return {
    tile: tile?.dataset.state, spoken: tile?.getAttribute('aria-label'),
    row: row?.dataset.state, rowText: row?.innerText, rowSigns: signs(row), pictured: row?.querySelector('.thumbnail')?.dataset.pictured, image: !!row?.querySelector('.thumbnail img'),
    onWall: row?.querySelector('.on-wall svg')?.getAttribute('aria-label'), onWallIsState: !!row?.querySelector('.on-wall circle'),
    mark: mark?.dataset.state, markSpoken: mark?.getAttribute('aria-label'),
  };
}

describe('the page', { timeout: 600_000 }, () => {
  let server, browser, root, anna;
  const nav = (page, where) => page.evaluate((to) => (location.hash = `#/${to}`), where);
  const shape = (page, name) => page.getByRole('button', { name, exact: true }).click();
  const tile = (camera) => anna.locator(`[data-tile][data-camera="${camera}"]`);

  before(async () => {
    server = await startWall();
    browser = await openBrowser(server.base);
    root = await browser.person();
    await root.getByLabel('One-time token').fill(server.token);
    await root.getByLabel("Administrator's name").fill('root');
    await root.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await root.getByLabel('Password again').fill(PASSWORD);
    await root.getByRole('button', { name: 'Make the administrator' }).click();
    await root.locator('.shell').waitFor();
    for (const [name, role] of Object.entries(people)) await call(root, 'POST', '/accounts', { name, role, password: PASSWORD, zones: role === 'zone-authority' ? ZONES : [] });
    const purposes = await call(root, 'GET', '/purposes');
    const [purpose] = purposes.items ?? purposes;
    const zoe = await browser.person();
    await login(zoe, 'zoe', PASSWORD);
    for (const zone of ZONES) {
      const draft = await call(root, 'POST', '/agreements', { zone, title: `Pictures of ${zone} for the crisis room of the region`, parties: [zone, 'Region'], purposes: [purpose.word], live: true, record: false, export: true, units: [UNIT], tags: [], valid_from: iso(-1), valid_to: iso(300) });
      await call(zoe, 'POST', `/agreements/${draft.id}/sign`, { version: draft.version });
    }
    await zoe.context().close();
    anna = await browser.person();
    await login(anna, 'anna', PASSWORD);
    const bases = await call(anna, 'GET', '/legal-bases');
    const made = await call(anna, 'POST', '/incidents', { title: 'Demonstration, Central Square and the streets around it', reason: 'Announced demonstration', reference: 'PV 2026/118', purpose: purpose.word, legal_basis: (bases.items ?? bases)[0].word });
    await call(anna, 'PUT', '/wall/incident', { incident: made.id });
    for (const n of [1, 2, 3, 4]) await shows(anna, `left.${n}`, n, 60_000);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('keeps the language that was chosen at the login, after it, after a reload and in another browser', async () => {
    const here = await browser.person();
    await here.getByRole('button', { name: 'Nederlands' }).click();
    await here.getByLabel('Naam', { exact: true }).fill('sam');
    await here.getByLabel('Wachtwoord', { exact: true }).fill(PASSWORD);
    await here.getByRole('button', { name: 'Aanmelden', exact: true }).click();
    const dutch = (page) => page.locator('nav a', { hasText: "Camera's" }).waitFor();
    await dutch(here);
    await here.reload();
    await dutch(here);
    assert.equal((await call(here, 'GET', '/me')).language, 'nl');
    const there = await browser.person();
    await login(there, 'sam', PASSWORD);
    await dutch(there);
    // Who chooses nothing keeps the own language, whatever the one before chose.
    await there.getByRole('button', { name: 'Afmelden' }).click();
    await there.getByLabel('Naam', { exact: true }).fill('otto');
    await there.getByLabel('Wachtwoord', { exact: true }).fill(PASSWORD);
    await there.getByRole('button', { name: 'Aanmelden', exact: true }).click();
    await there.locator('nav a', { hasText: 'Agreements' }).waitFor();
    await call(here, 'PATCH', '/me', { language: 'en' });
    await here.context().close();
    await there.context().close();
  });

  it('leaves the picture free where the pointer rests, and says the facts beside it', async () => {
    const box = await tile('cam-1').boundingBox();
    await anna.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await anna.locator('.tile-line', { hasText: 'Street 1' }).waitFor();
    const covered = await anna.evaluate(({ x, y, width, height }) => {
      const over = new Set();
      for (let i = 1; i < 10; i++) for (let j = 1; j < 8; j++) {
        const at = document.elementsFromPoint(x + (width * i) / 10, y + (height * j) / 10);
        const upTo = at.findIndex((e) => e.matches('[data-tile]'));
        for (const e of at.slice(0, upTo)) over.add(`${e.localName}.${e.className?.baseVal ?? e.className}`);
      }
      return [...over];
    }, box);
    assert.deepEqual(covered, [], 'what lies over the picture');
    const line = await anna.locator('.tile-line').boundingBox();
    const stage = await anna.locator('.screen-frame').boundingBox();
    assert.ok(line.y >= stage.y + stage.height - 1, 'the facts are below the picture');
    await anna.mouse.move(2, 2);
  });

  /** Looks again and again, until `done`; at every single look all views say the same. */
  async function agreed(camera, done, ms = 40_000) {
    const seen = [];
    await until(`${camera} as wanted`, async () => {
      const now = await anna.evaluate(said, camera);
      seen.push(now.tile);
      const others = [now.row, now.mark].filter((state) => state !== undefined);
      for (const state of others) assert.equal(state, now.tile, `one instant, two truths: ${JSON.stringify(now)}`);
      // A picture stands for a camera only while it is one of now.
      if (!['live', 'standby'].includes(now.tile)) assert.equal(now.pictured ?? 'no', 'no', JSON.stringify(now));
      if (now.row && now.tile !== 'unknown') assert.ok(now.rowSigns.length > 0, JSON.stringify(now));
      return done(now) && now;
    }, ms);
    return [...new Set(seen)];
  }

  it('says the same of a camera that falls silent, in tile, list, map and thumbnail, in the same instant', async () => {
    await shape(anna, 'List');
    await anna.locator('[data-camera-row="cam-2"]').waitFor();
    await until('its thumbnail', async () => (await anna.evaluate(said, 'cam-2')).pictured === 'yes', 30_000);
    const live = await anna.evaluate(said, 'cam-2');
    assert.match(live.onWall, /on the wall: left\.2/);
    assert.equal(live.onWallIsState, false, 'on the wall is no dot');
    await server.fault('fault 2 silent on');
    const states = await agreed('cam-2', (now) => now.tile === 'offline');
    assert.ok(states.includes('live') && states.includes('offline'), states.join());
    const dark = await anna.evaluate(said, 'cam-2');
    assert.match(dark.rowText, /Offline/, 'the word');
    assert.match(dark.rowText, /[\d.]+ (s|min)/, 'the age of the last picture');
    assert.match(dark.spoken, /Offline/);
    assert.equal(dark.image, false, 'no old picture');
    assert.match(dark.onWall, /on the wall: left\.2/, 'it is still on the wall');
    await picture(anna, 'page-offline');
    await nav(anna, 'cameras/cam-2');
    await anna.locator('[data-camera-state="offline"]').waitFor();
    await anna.locator('.camera-picture .thumbnail', { hasText: /Offline · / }).waitFor();
    assert.equal(await anna.locator('.camera-picture img').count(), 0);
    await nav(anna, 'wall');
    await anna.locator('.stage .tiles').waitFor();
    await shape(anna, 'Map');
    await anna.locator('.map').waitFor();
    await anna.getByRole('searchbox').fill('crossing 2');
    for (let i = 0; i < 8 && !(await anna.locator('[data-camera-mark="cam-2"]').count()); i++) await anna.locator('.cluster-mark').first().click();
    await anna.locator('[data-camera-mark="cam-2"]').waitFor();
    assert.match((await anna.evaluate(said, 'cam-2')).markSpoken, /Offline.*on the wall: left\.2/);
    await server.fault('fault 2 off');
    const back = await agreed('cam-2', (now) => now.tile === 'live' && now.mark === 'live', 60_000);
    assert.ok(back.includes('offline') && back.includes('live'), back.join());
    await anna.getByRole('searchbox').fill('');
    await shape(anna, 'List');
    await until('its new thumbnail', async () => (await anna.evaluate(said, 'cam-2')).pictured === 'yes', 30_000);
  });

  it('says that a camera is refused, and why, where it is on the wall and in the list', async () => {
    const zoe = await browser.person();
    await login(zoe, 'zoe', PASSWORD);
    const agreements = (await call(zoe, 'GET', '/agreements?limit=100')).items;
    const own = agreements.find((a) => a.zone === ZONES[2]);
    await call(zoe, 'POST', `/agreements/${own.id}/suspend`, { reason: 'A fault of the zone' });
    await agreed('cam-3', (now) => now.tile === 'refused' && now.row === 'refused');
    const now = await anna.evaluate(said, 'cam-3');
    assert.match(now.rowText, /Refused/);
    assert.equal(now.image, false);
    await call(zoe, 'POST', `/agreements/${own.id}/resume`, {});
    await agreed('cam-3', (again) => again.tile === 'live' && again.row === 'live', 60_000);
    await zoe.context().close();
  });

  it('says what was dropped and what was missed, and never that a full machine has room', async () => {
    const { machine } = await call(anna, 'GET', '/wall');
    assert.ok(['has-room', 'nearly-full', 'full'].includes(machine.room), JSON.stringify(machine));
    assert.equal(machine.room === 'has-room', machine.because.length === 0, JSON.stringify(machine));
    // What a loaded machine tells, in a page of its own.
    const sam = await browser.person();
    await sam.addInitScript(() => {
      const loaded = (text) => {
        const state = JSON.parse(text);
        for (const screen of state.screens) screen.lately = { dropped: 0, missed: 0 };
        Object.assign(state.screens[0], { dropped: 394, missed: 55, lately: { dropped: 12, missed: 3 } });
        Object.assign(state.machine, { room: 'full', because: ['dropped', 'missed'], decoding_demand: 0.1, decoding_available: 1.5 });
        return JSON.stringify(state);
      };
      const [listen, ask] = [EventSource.prototype.addEventListener, window.fetch];
      EventSource.prototype.addEventListener = function (name, act) {
        return listen.call(this, name, name === 'wall' ? (event) => act(new MessageEvent('wall', { data: loaded(event.data) })) : act);
      };
      window.fetch = async (url, init) => {
        const answer = await ask(url, init);
        return String(url).endsWith('/api/v1/wall') && answer.ok ? new Response(loaded(await answer.text()), { status: 200, headers: answer.headers }) : answer;
      };
    });
    await sam.reload();
    await login(sam, 'sam', PASSWORD);
    await sam.locator('.wall-foot', { hasText: 'pictures dropped by the encoder: 394' }).and(sam.locator('.wall-foot', { hasText: 'pictures missed by the screen: 55' })).waitFor();
    const panel = sam.getByRole('region', { name: 'Machine' });
    await panel.getByText('full', { exact: true }).waitFor();
    await panel.getByText('Pictures dropped by the encoders in the last 10 s: 12').waitFor();
    assert.doesNotMatch(await panel.innerText(), /has room/);
    await sam.context().close();
  });

  it('claims nothing while the server is not heard, and keeps the names', async () => {
    await shape(anna, 'List');
    await anna.locator('[data-camera-row="cam-1"][data-state="live"]').waitFor();
    server.wall.child.kill('SIGSTOP');
    try {
      await anna.locator('.shell.unsure').waitFor({ timeout: 20_000 });
      const now = await anna.evaluate(said, 'cam-1');
      assert.deepEqual([now.tile, now.row], ['unknown', 'unknown']);
      assert.match(now.spoken, /Street 1/);
      assert.match(now.rowText, /Street 1/);
      const text = await anna.locator('.shell').innerText();
      assert.doesNotMatch(text, /has room|nearly full|\d+ live|\d+\/\d+|\d+\.\d\/s|No alarm|Live ·/, text);
      assert.equal(await anna.locator('[data-pictured="yes"]').count(), 0, 'no thumbnail stands for a camera');
      assert.deepEqual(await anna.locator('[data-tile]').evaluateAll((tiles) => [...new Set(tiles.map((t) => t.dataset.state))]), ['unknown']);
    } finally {
      server.wall.child.kill('SIGCONT');
    }
    await anna.locator('.shell:not(.unsure)').waitFor({ timeout: 30_000 });
    await agreed('cam-1', (now) => now.tile === 'live' && now.row === 'live', 60_000);
  });

  /** Every view that a person has, at every size. */
  async function usable(page, views) {
    for (const size of SIZES) {
      await page.setViewportSize(size);
      for (const [name, go] of Object.entries(views)) {
        await go(size);
        await page.waitForTimeout(400);
        await laidOut(page, `${name} at ${size.width}x${size.height}`);
        if (process.env.VITRAIL_SCREENSHOTS && size.width < 1200 && name === 'wall' && !(await page.locator('html[lang=fr]').count())) {
          await page.locator('[data-feed="live"]').waitFor();
          await picture(page, `page-wall-${size.width}`);
        }
      }
    }
    await page.setViewportSize({ width: 1600, height: 900 });
  }

  for (const language of ['en', 'fr']) {
    it(`can be used on a phone, a tablet, a laptop, a desk and a wall, in ${language}`, async () => {
      await anna.locator('.notice').first().waitFor({ state: 'detached' }).catch(() => {});
      await call(anna, 'PATCH', '/me', { language });
      await nav(anna, 'wall');
      await anna.reload();
      await anna.locator('.screen-frame [data-tile]').first().waitFor();
      const index = (which) => anna.locator('.picker .tabs button').nth(which).click();
      await usable(anna, {
        wall: async (size) => {
          await nav(anna, 'wall');
          await anna.locator('.screen-frame [data-tile]').first().waitFor();
          if (size.width < 1200) await anna.locator('.side-tabs button').first().click();
          await index(0);
          await anna.locator('.line').first().waitFor();
        },
        'a tile': async (size) => {
          await anna.locator('[data-tile]').nth(1).click();
          if (size.width < 1200) await anna.locator('.side-tabs button').nth(1).click();
        },
        'the other sides of the wall': async (size) => size.width < 1200 && anna.locator('.side-tabs button').nth(2).click(),
        'the list': async () => {
          await nav(anna, 'cameras');
          await index(1);
          await anna.locator('.line').first().waitFor();
        },
        'the map': async () => {
          await index(2);
          await anna.locator('.camera-mark, .cluster-mark').first().waitFor();
        },
        'a camera': async () => {
          await nav(anna, 'cameras/cam-4');
          await anna.locator('.camera-facts h2').waitFor();
        },
        incidents: async () => {
          await nav(anna, 'incidents');
          await anna.locator('.card.incident').waitFor();
        },
        agreements: async () => {
          await nav(anna, 'agreements');
          await anna.locator('tbody tr').first().waitFor();
        },
      });
      const otto = await browser.person();
      await login(otto, 'otto', PASSWORD);
      await call(otto, 'PATCH', '/me', { language });
      await otto.reload();
      await usable(otto, {
        audit: async () => {
          await nav(otto, 'audit');
          await otto.locator('tbody tr').first().waitFor();
        },
      });
      await call(otto, 'PATCH', '/me', { language: 'en' });
      await otto.context().close();
      await call(root, 'PATCH', '/me', { language });
      await root.reload();
      await usable(root, {
        accounts: async () => {
          await nav(root, 'accounts');
          await root.locator('tbody tr').nth(3).waitFor();
        },
      });
      for (const page of [anna, root]) await call(page, 'PATCH', '/me', { language: 'en' });
    });
  }

  it('asked no other server for anything, and nothing broke in the page', () => browser.check());
});

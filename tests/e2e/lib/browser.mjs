// A browser that keeps account of what it asks for and of what goes wrong in it, and reads pixels.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from '../../../web/node_modules/playwright-core/index.mjs';
import { axeSource, guide } from './wall.mjs';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export async function openBrowser(base) {
  const profile = mkdtempSync(join(tmpdir(), 'vitrail-browser-'));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS });
  const requests = [];
  const wrong = [];
  const origin = new URL(base).origin;
  return {
    requests,
    wrong,
    /** A person at a screen of their own: cookies and storage of nobody else. */
    person: async (size = { width: 1600, height: 900 }) => {
      const context = await browser.newContext({ viewport: size, locale: 'en-GB', acceptDownloads: true });
      const page = await context.newPage();
      page.on('request', (request) => requests.push(request.url()));
      page.on('pageerror', (error) => wrong.push(`${error.message}\n${error.stack}`));
      page.on('console', (message) => {
        // A refused request (401, 403, 409 …) is an answer, not a fault of the page.
        if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) wrong.push(message.text());
      });
      page.setDefaultTimeout(15_000);
      await page.goto(base);
      return page;
    },
    /** Nothing was ever asked of another server, and nothing broke, the content security policy included. */
    check: () => {
      const strange = requests.filter((url) => !/^(data|blob):/.test(url) && new URL(url).origin !== origin);
      assert.deepEqual(strange, [], 'requests to other servers');
      assert.deepEqual(wrong, [], 'errors in the page');
      assert.ok(requests.length > 50, `only ${requests.length} requests were seen`);
    },
    close: async () => {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

export async function login(page, name, password) {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
  await page.locator('.shell').waitFor();
}

/** A call of the API in this person's name, as the page itself makes it. */
export async function call(page, method, path, body) {
  const answer = await page.evaluate(
    async ([method, path, body]) => {
      const me = await (await fetch('/api/v1/me')).json();
      const headers = { 'X-CSRF': me.csrf ?? '' };
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      const response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
      const text = await response.text();
      return { status: response.status, body: text ? JSON.parse(text) : null };
    },
    [method, path, body],
  );
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

export async function until(what, look, ms = 15_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await look();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  assert.fail(`${what}: not within ${ms} ms`);
}

/** Nothing serious and nothing critical on the page as it stands now. */
export async function accessible(page, where) {
  await page.evaluate(axeSource());
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, { resultTypes: ['violations'] });
    return { passes: result.passes.length, violations: result.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(' | ')}`) };
  });
  assert.ok(found.passes > 5, `axe checked only ${found.passes} rules on ${where}`);
  assert.deepEqual(found.violations, [], `axe on ${where}`);
}

/** A picture of the page for the guide, where one is wanted (VITRAIL_SCREENSHOTS=1). */
export async function picture(page, name) {
  if (process.env.VITRAIL_SCREENSHOTS) await page.screenshot({ path: join(guide, `${name}.png`) });
}

/**
 * What the live picture itself shows in a tile: the code that the simulated cameras draw into every picture,
 * read from the pixels of the video element. `null` where there is no such code: no picture of a camera.
 */
export async function seenIn(page, tile) {
  return page.evaluate(readTile, tile);
}

/* Runs in the page. The code is laid out as docs/ref/simulator.md says. */
async function readTile(id) {
  const frame = document.querySelector('.screen-frame');
  if (!frame) return { code: null, luma: null };
  const source = [...frame.querySelectorAll('video.live, img.live')].find((element) => getComputedStyle(element).visibility !== 'hidden');
  const button = frame.querySelector(`[data-tile="${CSS.escape(id)}"]`);
  const width = source?.videoWidth || source?.naturalWidth;
  if (!width || !button) return { code: null, luma: null };
  const height = source.videoHeight || source.naturalHeight;
  const outer = frame.getBoundingClientRect();
  const box = button.getBoundingClientRect();
  const [x, y, w, h] = [((box.left - outer.left) / outer.width) * width, ((box.top - outer.top) / outer.height) * height, (box.width / outer.width) * width, (box.height / outer.height) * height].map(Math.round);
  const canvas = new OffscreenCanvas(w, h);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(source, x, y, w, h, 0, 0, w, h);
  const { data } = context.getImageData(0, 0, w, h);
  const luma = (px, py) => {
    const at = (py * w + px) * 4;
    return 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
  };
  const mean = (x0, x1, y0, y1) => {
    let [sum, count] = [0, 0];
    for (let py = Math.floor(y0); py < Math.ceil(y1); py++) for (let px = Math.floor(x0); px < Math.ceil(x1); px++, count++) sum += luma(px, py);
    return count ? sum / count : 0;
  };
  const row = (from, to) => {
    const third = ((to - from) * h) / 3;
    const cells = Array.from({ length: 28 }, (_, i) => mean(((i + 0.3) * w) / 28, ((i + 0.7) * w) / 28, from * h + third, from * h + 2 * third));
    if (Math.abs(cells[0] - cells[1]) < 60) return null;
    const threshold = (cells[0] + cells[1]) / 2;
    return cells.slice(2).map((cell) => (cell > threshold ? 1 : 0));
  };
  const value = (bits) => bits.reduce((sum, bit) => sum * 2 + bit, 0);
  const checked = (bits, payload, polynomial, degree) => {
    let rest = 0;
    for (const bit of [...bits.slice(0, payload), ...Array(degree).fill(0)]) {
      rest = (rest << 1) | bit;
      if (rest & (1 << degree)) rest ^= polynomial;
    }
    return (rest ^ ((1 << degree) - 1)) === value(bits.slice(payload, payload + degree));
  };
  const camera = row(0.6, 0.675);
  const number = row(0.725, 0.8);
  const brightness = mean(0, w, h * 0.3, h * 0.9);
  if (!camera || !number || !checked(camera, 16, 0b11000110011, 10)) return { code: null, luma: brightness };
  return { code: { camera: value(camera.slice(1, 16)), main: camera[0] === 1, frame: checked(number, 20, 0b1000011, 6) ? value(number.slice(0, 20)) : null }, luma: brightness };
}

/** Waits until the live picture shows this camera in the tile. */
export const shows = (page, tile, camera, ms) =>
  until(`camera ${camera} in ${tile} on the live picture`, async () => (await agree(page), (await seenIn(page, tile)).code?.camera === camera), ms);

/** On a machine that is busy, the page asks before it shows what fits only degraded: the test says yes. */
export async function agree(page) {
  const yes = page.locator('dialog[open] .verdict ~ .buttons [data-first]');
  if (await yes.count()) await yes.click();
}
/** Waits until the live picture shows no camera in the tile. */
export const dark = (page, tile, ms) => until(`no camera in ${tile} on the live picture`, async () => (await seenIn(page, tile)).code === null, ms);

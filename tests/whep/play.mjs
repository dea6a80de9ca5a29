// Opens tests/whep/page.html in headless Chromium and writes what it saw as one line of JSON.
//
//   node play.mjs PAGE WHEP STREAM SECONDS
//
// playwright-core is that of web/ (npm ci there), or of the folder in NODE_MODULES.
import { createRequire } from "node:module";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const modules = process.env.NODE_MODULES ?? new URL("../../web/node_modules", import.meta.url).pathname;
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");

const [, , page, whep, stream, seconds] = process.argv;
const profile = mkdtempSync(join(tmpdir(), "whep-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
  ],
});
try {
  const tab = await browser.newPage();
  tab.on("console", (message) => process.stderr.write(`${message.text()}\n`));
  tab.on("pageerror", (error) => process.stderr.write(`${error}\n`));
  await tab.goto(page);
  const watched = await tab.evaluate(([a, s]) => window.watch(a, s, true), [whep, Number(seconds)]);
  const left = watched.status === 201 ? await tab.evaluate(() => window.leave()) : null;
  const fallback = stream ? await tab.evaluate((a) => window.fallback(a), stream) : null;
  process.stdout.write(`${JSON.stringify({ agent: browser.browser()?.version() ?? null, watched, left, fallback })}\n`);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}

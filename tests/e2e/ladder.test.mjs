// A ladder made by `vitrail transcode`, played by hls.js in a real browser: it plays to its end, changes its
// size when told, and has no hole that a player must jump over.
//
//     VITRAIL=target/release/vitrail node --test tests/e2e/        (npm ci in web/ first; CHROMIUM: its path)

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { program } from "./lib/wall.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(root, "web/package.json"));
const browser = process.env.CHROMIUM ?? "/usr/bin/chromium";
const missing = [program, browser].filter((path) => !path || !existsSync(path));

const page = `<!doctype html><video id="v" muted playsinline></video><script src="/hls.js"></script>`;
const types = { ".m3u8": "application/vnd.apple.mpegurl", ".mp4": "video/mp4", ".m4s": "video/iso.segment" };

/** Serves a folder, the page and the player. */
function serve(folder) {
  const player = readFileSync(require.resolve("hls.js/dist/hls.min.js"));
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    if (path === "/") return response.setHeader("content-type", "text/html").end(page);
    if (path === "/hls.js") return response.setHeader("content-type", "text/javascript").end(player);
    const file = join(folder, path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

/** Plays all of it in the page, each size for a part; what happened. */
async function play() {
  const video = document.getElementById("v");
  const seen = { faults: [], levels: [], sizes: [], stalls: 0 };
  const hls = new Hls({ startLevel: 0, maxBufferLength: 4, maxMaxBufferLength: 4, backBufferLength: 600, abrEwmaDefaultEstimate: 1e5 });
  // Pictures that are decoded early move the first one to 0.08 s, as in every such ladder; where hls.js looks
  // before the browser has begun, it steps over that. Any other hole is a fault.
  const begins = (data) => data.details === "bufferSeekOverHole" && video.currentTime < 0.2;
  hls.on(Hls.Events.ERROR, (_, data) => begins(data) || seen.faults.push(data.details));
  hls.on(Hls.Events.LEVEL_SWITCHED, (_, data) => seen.levels.push(data.level));
  video.addEventListener("resize", () => seen.sizes.push(video.videoHeight));
  hls.loadSource("/ladder/master.m3u8");
  hls.attachMedia(video);
  await new Promise((parsed) => hls.once(Hls.Events.MANIFEST_PARSED, parsed));
  const count = hls.levels.length;
  hls.loadLevel = 0;
  await video.play();
  let next = 1;
  await new Promise((ended, failed) => {
    video.addEventListener("ended", ended);
    video.addEventListener("error", () => failed(new Error(video.error.message)));
    video.addEventListener("timeupdate", () => {
      if (next < count && video.currentTime > (video.duration * next) / (count + 1)) hls.nextLevel = next++;
    });
    setTimeout(() => failed(new Error(`stuck at ${video.currentTime} s: ${JSON.stringify(seen)}`)), 60_000);
  });
  const ranges = [...Array(video.buffered.length).keys()];
  return {
    ...seen,
    count,
    duration: video.duration,
    buffered: ranges.map((i) => [video.buffered.start(i), video.buffered.end(i)]),
    pictures: video.getVideoPlaybackQuality().totalVideoFrames,
  };
}

test("a ladder plays in a browser, in all sizes, without a hole", { skip: missing.length > 0 && missing.join(", ") }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "vitrail-ladder-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const source = join(folder, "source.mp4");
  const inputs = ["testsrc2=size=640x360:rate=25:duration=24", "sine=frequency=440:sample_rate=48000:duration=24"];
  const lavfi = inputs.flatMap((input) => ["-f", "lavfi", "-i", input]);
  const codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"];
  execFileSync("ffmpeg", ["-nostdin", "-v", "error", ...lavfi, ...codecs, source]);
  const ladder = ["--ladder", "360:800k,240:400k,120:150k", "--preset", "veryfast"];
  execFileSync(program, ["transcode", source, "-o", join(folder, "ladder/"), ...ladder], { stdio: "pipe" });

  const server = await serve(folder);
  t.after(() => server.close());
  const { chromium } = require("playwright-core");
  const launched = await chromium.launch({
    executablePath: browser,
    args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-gpu"],
  });
  t.after(() => launched.close());
  const tab = await launched.newPage();
  const said = [];
  tab.on("console", (message) => said.push(message.text()));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const seen = await tab.evaluate(play);
  console.log(JSON.stringify(seen));
  assert.equal(seen.count, 3, said.join("\n"));
  assert.deepEqual(seen.faults, [], "a gap, a stall or a part that cannot be appended");
  assert.deepEqual([...new Set(seen.levels)].sort(), [0, 1, 2]);
  assert.deepEqual([...new Set(seen.sizes)].sort((a, b) => a - b), [120, 240, 360]);
  assert.ok(Math.abs(seen.duration - 24) < 0.1, `${seen.duration} s`);
  assert.equal(seen.buffered.length, 1, JSON.stringify(seen.buffered));
  assert.ok(seen.buffered[0][0] < 0.1 && seen.buffered[0][1] > 23.9, JSON.stringify(seen.buffered));
});

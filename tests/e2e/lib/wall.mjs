// A real wall of simulated cameras for the browser tests: both programs as processes, everything in a folder of its own.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = new URL('../../../', import.meta.url).pathname;
/** The program under test. */
export const program = process.env.VITRAIL ? resolve(process.env.VITRAIL) : built();

/** What `cargo build --bin vitrail` made; cargo knows where it builds to. */
function built() {
  const cargo = spawnSync('cargo', ['metadata', '--no-deps', '--offline', '--format-version', '1'], { cwd: root, maxBuffer: 64 << 20 });
  return cargo.status === 0 ? [join(JSON.parse(cargo.stdout).target_directory, 'debug', 'vitrail')].find(existsSync) : undefined;
}

/** The simulated cameras' pictures are encoded once and kept here. */
const CACHE = join(tmpdir(), 'vitrail-e2e-cache');
/** What the person at this machine keeps is out of the program's sight. */
const HOME = mkdtempSync(join(tmpdir(), 'vitrail-e2e-home-'));
const home = { VITRAIL_LOG: undefined, GST_REGISTRY: join(CACHE, 'gstreamer-registry.bin'), HOME, XDG_CACHE_HOME: join(HOME, '.cache'), XDG_CONFIG_HOME: join(HOME, '.config'), XDG_DATA_HOME: join(HOME, '.local/share'), XDG_STATE_HOME: join(HOME, '.local/state') };
process.once('exit', () => rmSync(HOME, { recursive: true, force: true }));

export const ZONES = ['north', 'south', 'east', 'west', 'centre', 'canal'];
/** Camera N belongs to this zone. */
export const zoneOf = (n) => ZONES[(n - 1) % ZONES.length];
export const UNIT = 'regional-crisis-centre';

export async function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Runs the program; `seen(pattern)` waits for words of it. */
function run(args, options = {}) {
  if (!program) throw new Error('no program: build it first (cargo build --bin vitrail), or name it in VITRAIL');
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...home, ...options.env }, cwd: options.cwd });
  let text = '';
  const waiting = new Set();
  const take = (chunk) => {
    text += chunk;
    for (const look of [...waiting]) look();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  let ended = null;
  child.on('error', (error) => {
    text += error.message;
    ended = error.code;
    for (const look of [...waiting]) look();
  });
  child.on('exit', (code, signal) => {
    ended = code ?? signal;
    for (const look of [...waiting]) look();
  });
  return {
    child,
    text: () => text,
    seen: (pattern, ms = 60_000) =>
      new Promise((resolve, reject) => {
        const finish = (done, value) => {
          clearTimeout(timer);
          waiting.delete(look);
          done(value);
        };
        const look = () => {
          const match = pattern.exec(text);
          if (match) finish(resolve, match);
          else if (ended !== null) finish(reject, new Error(`vitrail ${args[0]} ended (${ended}):\n${text.slice(-3000)}`));
        };
        const timer = setTimeout(() => finish(reject, new Error(`vitrail ${args[0]} did not say ${pattern}:\n${text.slice(-3000)}`)), ms);
        waiting.add(look);
        look();
      }),
    stop: () =>
      new Promise((resolve) => {
        if (ended !== null) return resolve();
        child.once('exit', resolve);
        child.kill('SIGCONT');
        child.kill('SIGINT');
        setTimeout(() => child.kill('SIGKILL'), 15_000).unref();
      }),
  };
}

async function answering(port, ms = 120_000) {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    const open = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing answers at port ${port}`);
}

/** `count` simulated cameras that play, and `known` rows in the inventory (the others are never called). */
export async function startWall({ count = 12, known = count, screens } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'vitrail-e2e-'));
  mkdirSync(CACHE, { recursive: true });
  const [rtsp, control, http] = [await freePort(), await freePort(), await freePort()];
  const cameras = run(['cameras', '--count', String(count), '--listen', `127.0.0.1:${rtsp}`, '--control', `127.0.0.1:${control}`, '--codecs', 'h264', '--main', '640x360@12.5', '--sub', '320x180@12.5', '--loop-seconds', '4', '--cache', CACHE]);
  const header = 'id,name,zone,site,tags,latitude,longitude,scene_width_m,uri,main.size,main.fps,main.codec,sub.uri,sub.size,sub.fps,sub.codec';
  const rows = Array.from({ length: known }, (_, i) => {
    const n = i + 1;
    const site = Math.floor(i / 16) + 1;
    const at = (50.8 + ((site * 37) % 100) / 1200 + (i % 4) / 4000).toFixed(5);
    const on = (4.3 + ((site * 61) % 100) / 800 + (i % 16) / 12000).toFixed(5);
    return [`cam-${n}`, `${['Street', 'Crossing', 'Car park', 'Platform'][i % 4]} ${n}`, zoneOf(n), `square-${site}`, 'street', at, on, 8, `rtsp://127.0.0.1:${rtsp}/cam/${n}/main`, '640x360', 12.5, 'h264', `rtsp://127.0.0.1:${rtsp}/cam/${n}/sub`, '320x180', 12.5, 'h264'].join(',');
  });
  writeFileSync(join(folder, 'cams.csv'), `${header}\n${rows.join('\n')}\n`);
  const list = screens ?? [{ id: 'left', grid: '2x2', cameras: [1, 2, 3, 4] }, { id: 'right', grid: '2x2', cameras: [5, 6] }];
  const wallFile = join(folder, 'wall.toml');
  writeFileSync(
    wallFile,
    `[wall]
id = "demo"
frame_rate = 12.5
inventory = "cams.csv"

[control]
listen = "127.0.0.1:${http}"
database = "${join(folder, 'vitrail.db')}"
unit = "${UNIT}"
${list
  .map(
    (screen) => `
[[screen]]
id = "${screen.id}"
size = "${screen.size ?? '960x540'}"
grid = "${screen.grid}"
cameras = [${screen.cameras.map((n) => `"cam-${n}"`).join(', ')}]
`,
  )
  .join('')}
[encoder]
preset = "ultrafast"

[effort]
budget = 100
`,
  );
  let wall;
  let token;
  try {
    await answering(rtsp);
    wall = run(['wall', wallFile], { cwd: folder });
    [, token] = await wall.seen(/with this token: (\S+)/, 90_000);
    await answering(http);
  } catch (error) {
    await wall?.stop();
    await cameras.stop();
    throw error;
  }
  return {
    base: `http://127.0.0.1:${http}`,
    token,
    folder,
    wall,
    log: () => wall.text(),
    /** One command to the simulator, such as `fault 3 silent on`. */
    fault: (command) =>
      new Promise((resolve, reject) => {
        const socket = connect(control, '127.0.0.1', () => socket.write(`${command}\n`)).on('error', reject);
        socket.once('data', (data) => {
          socket.destroy();
          resolve(JSON.parse(String(data)));
        });
      }),
    stop: async () => {
      await wall.stop();
      await cameras.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const axeSource = () => readFileSync(join(root, 'web/node_modules/axe-core/axe.min.js'), 'utf8');
export const guide = join(root, 'docs/guide');

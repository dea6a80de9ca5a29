// A server for developing the page alone: the API's shapes in memory, drawn pictures, no rights, no cameras.
// Never used by a test that claims to be end to end. `npm run mock [-- cameras screens]`, then `npm run dev`.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const COUNT = Number(process.argv[2] ?? 120);
const SCREENS = Number(process.argv[3] ?? 4);
const PORT = Number(process.env.PORT ?? 8790);
const dist = new URL('../dist/', import.meta.url).pathname;

const zones = ['north', 'south', 'east', 'west', 'centre', 'canal'].map((id) => ({ id, name: `Zone ${id[0].toUpperCase()}${id.slice(1)}`, contact: null }));
const sites = [];
const cameras = [];
for (let i = 1; i <= COUNT; i++) {
  const z = (Math.floor((i - 1) / 16)) % 6;
  const site = `site-${Math.floor((i - 1) / 16) + 1}`;
  if (!sites.some((s) => s.id === site)) sites.push({ id: site, zone: zones[z].id, name: `Square ${sites.length + 1}`, latitude: null, longitude: null });
  const n = sites.length;
  cameras.push({
    id: `cam-${i}`, name: `${['Street', 'Crossing', 'Car park', 'Platform'][i % 4]} ${i}`, zone: zones[z].id, site,
    profiles: { main: { uri: `rtsp://127.0.0.1:8554/cam/${i}/main`, width: 1280, height: 720, frame_rate: 25, codec: i % 2 ? 'h264' : 'h265' }, sub: { uri: `rtsp://127.0.0.1:8554/cam/${i}/sub`, width: 640, height: 360, frame_rate: 12.5, codec: 'h264' } },
    latitude: 50.8 + 0.03 * Math.floor(z / 3) + ((n * 37) % 100) / 3600 + (i % 4) / 3000, longitude: 4.3 + 0.05 * (z % 3) + ((n * 61) % 100) / 2400 + (i % 16) / 9000,
    scene_width_m: 12, tags: ['street'], masks: [], priority: 100, pinned: false, transport: 'tcp', onvif: i % 5 ? null : 'http://127.0.0.1:9000/onvif', version: 1,
  });
}
const now = () => new Date().toISOString();
let me = null;
let needed = process.env.SETUP === '1';
const people = [['anna', 'operator'], ['sam', 'supervisor'], ['zoe', 'zone-authority'], ['otto', 'auditor'], ['root', 'administrator']].map(([name, role], i) => ({
  id: `u-${i + 1}`, name, role, zones: role === 'zone-authority' ? ['north', 'south'] : [], unit: 'regional-crisis-centre', language: 'en', enabled: true, local: true, created_at: now(), last_login: null,
}));
const allowed = {
  operator: 'myself view-wall operate-wall export move-camera incident read-registry read-agreement',
  supervisor: 'myself view-wall operate-wall manage-wall export move-camera incident close-incident read-registry read-agreement read-metrics',
  'zone-authority': 'myself read-registry write-registry read-agreement draft-agreement govern-agreement read-audit',
  auditor: 'myself read-agreement read-audit',
  administrator: 'myself read-registry write-registry read-agreement draft-agreement manage-people read-metrics',
};
const incidents = [];
const agreements = zones.map((z, i) => ({
  id: `A-2026-000${i + 1}`, zone: z.id, title: `Pictures of ${z.name}`, parties: [z.name, 'Region'], purposes: ['public-order'], live: true, record: false, export: i % 2 === 0, units: ['regional-crisis-centre'], tags: [],
  valid_from: '2026-01-01T00:00:00Z', valid_to: '2027-01-01T00:00:00Z', state: ['signed', 'signed', 'signed', 'suspended', 'draft', 'signed'][i], in_force: [true, true, true, false, false, true][i], version: 1,
  drafted_by: 'u-5', signed_by: 'u-3', signed_at: now(), history: [{ at: now(), by: 'u-5', name: 'root', what: 'drafted' }, { at: now(), by: 'u-3', name: 'zoe', what: 'signed' }],
}));
const records = [];
const record = (kind, event = {}) => records.unshift({ seq: records.length + 1, at: now(), by: { account: me?.id ?? 'system', name: me?.name ?? 'Vitrail', role: me?.role ?? null, via: 'session', address: '127.0.0.1' }, event: { kind, ...event } });
let tours = [];
let layouts = [];
let alarms = [];
let rules = [];

const layout = { version: 1, incident: null, by: null, at: null, regions: [] };
for (let s = 1; s <= SCREENS; s++) {
  const id = `screen-${s}`;
  const grid = s % 3 ? '4x4' : '1+5';
  layout.regions.push({ id, screens: [id], arrangement: grid, tiles: tilesFor(id, grid) });
}
let shown = 0;
for (const r of layout.regions) for (const t of r.tiles) t.camera = cameras[shown++ % cameras.length].id;

function cellsOf(arrangement) {
  const grid = /^(\d+)x(\d+)$/.exec(arrangement);
  if (grid) return { c: +grid[1], r: +grid[2], list: Array.from({ length: grid[1] * grid[2] }, (_, i) => [i % grid[1], Math.floor(i / grid[1]), 1, 1]) };
  const n = { 1: 1, '1+5': 3, '1+7': 4, '2+8': 4, '1+12': 4 }[arrangement];
  const large = { 1: [[0, 0, 1, 1]], '1+5': [[0, 0, 2, 2]], '1+7': [[0, 0, 3, 3]], '2+8': [[0, 0, 2, 2], [2, 0, 2, 2]], '1+12': [[1, 1, 2, 2]] }[arrangement];
  const small = Array.from({ length: n * n }, (_, i) => [i % n, Math.floor(i / n), 1, 1]).filter(([x, y]) => !large.some(([a, b, w, h]) => x >= a && y >= b && x < a + w && y < b + h));
  return { c: n, r: n, list: [...large, ...small] };
}
function tilesFor(id, arrangement, old = []) {
  return cellsOf(arrangement).list.map((_, i) => ({ camera: null, at: null, pinned: false, locked: false, fit: 'contain', crop: null, by: null, ...old[i], id: `${id}.${i + 1}` }));
}

function state() {
  const incident = incidents.find((i) => i.id === layout.incident) ?? null;
  const screens = [];
  for (let s = 1; s <= SCREENS; s++) {
    const id = `screen-${s}`;
    const tiles = [];
    for (const region of layout.regions.filter((r) => r.screens.includes(id))) {
      const { c, r, list } = cellsOf(region.arrangement);
      region.tiles.forEach((tile, i) => {
        const spot = region.spotlight === tile.id;
        if (region.spotlight && !spot) return;
        const [x, y, w, h] = spot ? [0, 0, c, r] : (tile.at ?? list[i]);
        const camera = cameras.find((k) => k.id === tile.camera);
        const zone = agreements.find((a) => a.zone === camera?.zone && a.in_force);
        const st = !camera ? 'empty' : !incident || incident.state === 'closed' ? 'refused' : !zone ? 'refused' : ['live', 'live', 'live', 'live', 'live', 'stalled', 'live', 'live', 'offline', 'live', 'live'][Number(camera.id.slice(4)) % 11];
        tiles.push({
          id: tile.id, rect: [Math.round((x * 1920) / c), Math.round((y * 1080) / r), Math.round((w * 1920) / c), Math.round((h * 1080) / r)], camera: tile.camera, name: camera?.name ?? null, zone: camera?.zone ?? null,
          state: st, reason: st === 'offline' ? 'cannot be reached' : null, refusal: st === 'refused' ? (incident ? { code: 'suspended', text: 'A-2026-0004 since today' } : { code: 'no-incident', text: 'open one first' }) : null, spotlight: region.spotlight === tile.id, age_ms: st === 'live' ? 40 : st === 'stalled' ? 4200 : null,
          profile: st === 'live' ? 'sub' : null, effort: st === 'live' ? 'full' : null, degraded: st === 'live' && i % 7 === 3, pinned: tile.pinned, locked: tile.locked, alarm: alarms.some((a) => !a.acknowledged_by && a.camera === tile.camera), px_per_m: camera ? Math.round(((w * 1920) / c) / 12) : null, level: w / c > 0.5 ? 'observe' : 'detect',
        });
      });
    }
    const columns = Math.ceil(SCREENS / (SCREENS > 4 ? 2 : 1));
    screens.push({ id, width: 1920, height: 1080, fps: 25, step: s === 2 ? 'half-rate' : 'as-asked', degraded: s === 2, rate: s === 2 ? 12.5 : 25, asked_fps: 25, missed: 55, dropped: 394, lately: { missed: s === 1 ? 3 : 0, dropped: s === 1 ? 12 : 0 }, viewers: 1, trouble: null, x: ((s - 1) % columns) * 1940, y: Math.floor((s - 1) / columns) * 1100, tiles });
  }
  return {
    wall: 'demo', unit: 'regional-crisis-centre', incident: incident && incident.state !== 'closed' ? incident.id : null, log_ok: true, log_trouble: null, version: layout.version, screens, machine: { cores: 2, used: 0.9, others: 0.2, decoding_available: 1.4, decoding_demand: 0.6 + 0.01 * (Date.now() % 7), decoding_deserved: 0.7, room: 'full', because: ['dropped', 'missed'] }, states: states(screens),
    cameras: { known: COUNT, open: 16, live: 14, dark: 2 }, alarms: alarms.filter((a) => !a.acknowledged_by), tours: tours.map(({ id, name, state: st }) => ({ id, name, state: st, paused_by: st === 'paused' ? 'operator' : null, turn: 0, next_at: null, trouble: null })),
  };
}

/** How each camera stands, as its tiles say. */
function states(screens) {
  const all = {};
  for (const tile of screens.flatMap((s) => s.tiles)) {
    if (!tile.camera) continue;
    const { state: st, reason, refusal, age_ms } = tile;
    const tiles = [...new Set([...(all[tile.camera]?.tiles ?? []), tile.id])];
    all[tile.camera] = { state: st, reason, refusal, age_ms, tiles };
  }
  return all;
}

const history = [];
const future = [];
function change(changes) {
  history.push(structuredClone(layout));
  future.length = 0;
  const find = (id) => layout.regions.flatMap((r) => r.tiles).find((t) => t.id === id);
  for (const c of changes) {
    const tile = c.tile && find(c.tile);
    if (c.tile && !tile) continue;
    if (c.op === 'show') Object.assign(tile, { camera: c.camera, by: me.name, crop: null });
    if (c.op === 'clear') Object.assign(tile, { camera: null, crop: null });
    if (c.op === 'pin') tile.pinned = c.pinned;
    if (c.op === 'lock') tile.locked = c.locked;
    if (c.op === 'crop') tile.crop = c.crop;
    if (c.op === 'fit') tile.fit = c.fit;
    if (c.op === 'place') tile.at = c.at;
    if (c.op === 'swap') { const [a, b] = [find(c.a), find(c.b)]; [a.camera, b.camera] = [b.camera, a.camera]; }
    if (c.op === 'arrange') { const r = layout.regions.find((x) => x.id === c.region); r.arrangement = c.arrangement; r.tiles = tilesFor(r.id, c.arrangement, r.tiles); r.spotlight = null; }
    if (c.op === 'spotlight') layout.regions.find((r) => r.tiles.includes(tile)).spotlight = c.on ? tile.id : null;
  }
  touch();
}
function touch() {
  layout.version++;
  layout.by = me?.name ?? null;
  layout.at = now();
  tell('layout', layout);
  tell('wall', state());
}

const listeners = new Set();
const tell = (name, data) => listeners.forEach((r) => r.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`));
setInterval(() => {
  for (const i of incidents) if (i.state === 'closing' && new Date(i.ends_at) < new Date()) { i.state = 'closed'; i.closed_at = now(); }
  tell('wall', state());
}, 1000);

function drawn(text, tone, width = 640, tiles = null) {
  const shift = Math.floor(Date.now() / 500) % 40;
  const inside = tiles ? tiles.map((t) => `<g transform="translate(${t.rect[0]} ${t.rect[1]})"><rect width="${t.rect[2]}" height="${t.rect[3]}" fill="hsl(${(t.camera ?? 'x').length * 47 + Number((t.camera ?? '-0').split('-')[1]) * 29} 30% ${t.state === 'live' ? 32 : 8}%)" stroke="#000" stroke-width="4"/><circle cx="${t.rect[2] / 2 + shift * 2}" cy="${t.rect[3] / 2}" r="${t.rect[3] / 6}" fill="#fff3"/><text x="12" y="34" font-size="26" fill="#fff" font-family="sans-serif">${t.name ?? ''}</text><text x="12" y="70" font-size="30" fill="#fc6" font-family="sans-serif">${t.state === 'live' ? '' : t.state.toUpperCase()}</text></g>`).join('') : `<rect width="1920" height="1080" fill="hsl(${tone} 30% 35%)"/><circle cx="${900 + shift * 4}" cy="560" r="200" fill="#fff3"/><text x="60" y="180" font-size="140" fill="#fff" font-family="sans-serif">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1920 1080" width="${width}" height="${Math.round((width * 9) / 16)}">${inside}</svg>`;
}

const TERM = (word) => ({ word, en: word.replaceAll('-', ' '), fr: word, nl: word });
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png' };
const CSP = "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; frame-ancestors 'none'";

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://x');
  const body = await new Promise((resolve) => { let text = ''; request.on('data', (d) => (text += d)); request.on('end', () => resolve(text)); });
  const send = (status, data, headers = {}) => { response.writeHead(status, { 'Content-Type': 'application/json', ...headers }); response.end(typeof data === 'string' ? data : JSON.stringify(data)); };
  if (!url.pathname.startsWith('/api/')) {
    const name = url.pathname === '/' ? 'index.html' : normalize(url.pathname).slice(1);
    const file = await readFile(join(dist, name)).catch(() => null);
    if (!file) return send(404, '');
    response.writeHead(200, { 'Content-Type': types[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP });
    return response.end(file);
  }
  const path = url.pathname.slice('/api/v1'.length);
  const data = request.headers['content-type'] === 'application/json' && body ? JSON.parse(body) : {};
  const list = (items) => {
    const limit = Number(url.searchParams.get('limit') ?? 100);
    const after = url.searchParams.get('after');
    const from = after ? items.findIndex((i) => String(i.id ?? i.seq) === after) + 1 : 0;
    const part = items.slice(from, from + limit);
    send(200, { items: part, next: from + limit < items.length ? String(part.at(-1).id ?? part.at(-1).seq) : null });
  };
  const wrong = (status, title, detail, code, more) => send(status, { type: 'x', status, title, detail, code, more }, { 'Content-Type': 'application/problem+json' });
  const at = (pattern) => { const m = new RegExp(`^${pattern}$`).exec(path); return m && m.slice(1).map(decodeURIComponent); };
  const verb = request.method;
  let m;
  if (path === '/setup') { if (verb === 'GET') return send(200, { needed, sign_on: false }); needed = false; return send(201, {}); }
  if (path === '/login') { me = people.find((p) => p.name === data.name) ?? null; if (!me) return wrong(401, 'login', 'wrong name or password', 'login'); record('login.succeeded'); return send(200, {}); }
  if (!me) return wrong(401, 'login', 'log in first');
  if (path === '/logout') { me = null; return send(204, ''); }
  if (path === '/me' && verb === 'PATCH') Object.assign(me, data);
  if (path === '/me') return send(200, { account: me.id, name: me.name, role: me.role, zones: me.zones, unit: me.unit, language: me.language, permissions: allowed[me.role].split(' '), csrf: 'x' });
  if (path === '/events') { response.writeHead(200, { 'Content-Type': 'text/event-stream' }); listeners.add(response); request.on('close', () => listeners.delete(response)); return response.write(':\n\n'); }
  if (path === '/zones') return list(zones);
  if (path === '/sites') return list(sites);
  if (path === '/purposes') return send(200, ['public-order', 'event', 'assistance', 'missing-person'].map(TERM));
  if (path === '/legal-bases') return send(200, ['lfp-14', 'lfp-15', 'lfp-22', 'other'].map(TERM));
  if (path === '/cameras/map') return send(200, cameras.map((c) => [c.id, c.name, c.latitude, c.longitude, c.zone, c.site]));
  if (path === '/cameras') return list(cameras.filter((c) => !url.searchParams.get('q') || c.name.includes(url.searchParams.get('q'))));
  if ((m = at('/cameras/([^/]+)/thumbnail.jpg'))) return send(200, drawn(m[0], Number(m[0].slice(4)) * 29, 320), { 'Content-Type': 'image/svg+xml' });
  if ((m = at('/cameras/([^/]+)/ptz'))) return send(200, { presets: [{ token: '1', name: 'Gate' }] });
  if ((m = at('/cameras/([^/]+)'))) { const c = cameras.find((x) => x.id === m[0]); if (!c) return wrong(404, 'camera', 'none'); if (verb === 'PATCH') Object.assign(c, data); return send(200, c); }
  if (path === '/zones/state') return send(200, zones.map((z) => { const a = agreements.find((x) => x.zone === z.id); return { zone: z.id, name: z.name, state: a.in_force ? 'in-force' : a.state, until: a.valid_to, live: a.in_force, record: false, export: a.in_force && a.export, purposes: [], units: [], in_force: [], suspended: [], coming: [], drafts: a.state === 'draft' ? [a.id] : [] }; }));
  if (path === '/agreements') { if (verb === 'GET') return list(agreements); const a = { ...data, id: `A-2026-00${agreements.length + 1}`, state: 'draft', in_force: false, version: 1, drafted_by: me.id, signed_by: null, signed_at: null, history: [{ at: now(), by: me.id, name: me.name, what: 'drafted' }] }; agreements.push(a); record('agreement.drafted', { agreement: a.id, zone: a.zone }); return send(201, a); }
  if ((m = at('/agreements/([^/]+)/(sign|suspend|resume|revoke)'))) { const a = agreements.find((x) => x.id === m[0]); const done = { sign: 'signed', suspend: 'suspended', resume: 'signed', revoke: 'revoked' }[m[1]]; a.state = done; a.in_force = done === 'signed'; a.why = data.reason; a.history.push({ at: now(), by: me.id, name: me.name, what: done, reason: data.reason }); record(`agreement.${done}`, { agreement: a.id, zone: a.zone, reason: data.reason }); return send(200, a); }
  if ((m = at('/agreements/([^/]+)'))) return send(200, agreements.find((x) => x.id === m[0]));
  if (path === '/incidents') { if (verb === 'GET') return list([...incidents].reverse()); const i = { ...data, id: `I-2026-000${incidents.length + 1}`, opened_by: me.id, opened_name: me.name, opened_at: now(), state: 'open', ends_at: null, closed_at: null }; incidents.push(i); record('incident.opened', { incident: i.id, reason: i.reason }); return send(201, i); }
  if ((m = at('/incidents/([^/]+)/(close|keep)'))) { const i = incidents.find((x) => x.id === m[0]); if (m[1] === 'keep') Object.assign(i, { state: 'open', ends_at: null }); else Object.assign(i, { state: data.grace_s ? 'closing' : 'closed', ends_at: new Date(Date.now() + data.grace_s * 1000).toISOString() }); tell('incident', i); return send(200, { incident: i, ends: [] }); }
  if ((m = at('/incidents/([^/]+)'))) return send(200, incidents.find((x) => x.id === m[0]));
  if (path === '/audit') return list(records);
  if (path === '/audit/verify') return send(200, { verdict: 'whole', records: records.length, first: 1, last: records.length, from: null, to: null, signatures: 3, file_signatures: 0, key_id: 'k', faults: [], faults_total: 0 });
  if (path === '/accounts') return verb === 'GET' ? list(people) : (people.push({ ...data, id: `u-${people.length + 1}`, enabled: true, zones: data.zones ?? [], unit: data.unit ?? 'x', created_at: now(), last_login: null }), send(201, {}));
  if (path === '/names') return send(200, { [me.id]: me.name });
  if (path === '/tokens') return verb === 'GET' ? list([]) : send(201, { id: 't-1', name: data.name, secret: 'vt_0123', permissions: null, created_at: now(), expires_at: now(), used_at: null });
  if (path === '/wall') return send(200, state());
  if (path === '/wall/layout') return send(200, layout);
  if (path === '/wall/admit') return send(200, (data.changes ?? []).some((c) => c.op === 'arrange' && c.arrangement === '8x8') ? { admission: 'degraded', cameras: [{ camera: 'cam-3', step: 'KeyFrames' }, { camera: 'cam-4', step: 'FewerKeyFrames(3)' }], screens: [{ screen: 's2', step: 'half-rate' }] } : { admission: 'fits', spare: 0.5 });
  if (path === '/wall/changes') {
    if (process.env.RACE && data.version === layout.version && Math.random() < Number(process.env.RACE)) { const other = me; me = people[1]; change([{ op: 'show', tile: data.changes[0].tile, camera: 'cam-9' }]); me = other; }
    if (data.version < layout.version && process.env.RACE) return wrong(409, 'layout', 'another was quicker', 'changed', { layout });
    change(data.changes); record('layout.changed'); return send(200, { layout, refused: [] });
  }
  if (path === '/wall/undo') { const old = history.pop(); if (!old) return wrong(409, 'undo', 'nothing', 'nothing'); future.push(structuredClone(layout)); Object.assign(layout, old, { version: layout.version }); touch(); return send(200, { layout, refused: [] }); }
  if (path === '/wall/redo') { const next = future.pop(); if (!next) return wrong(409, 'redo', 'nothing', 'nothing'); history.push(structuredClone(layout)); Object.assign(layout, next, { version: layout.version }); touch(); return send(200, { layout, refused: [] }); }
  if (path === '/wall/incident') { layout.incident = data.incident; touch(); return send(200, {}); }
  if ((m = at('/wall/screens/([^/]+)/picture.jpg'))) return send(200, drawn('', 0, 1280, state().screens.find((s) => s.id === m[0])?.tiles ?? []), { 'Content-Type': 'image/svg+xml' });
  if (at('/wall/(screens|tiles)/([^/]+)/snapshot')) return send(200, drawn('snapshot', 0), { 'Content-Type': 'image/svg+xml' });
  if (path.startsWith('/whep/')) return wrong(503, 'whep', 'the development server has no live picture');
  if (path === '/layouts') { if (verb === 'GET') return list(layouts); layouts.push({ id: `L-${layouts.length + 1}`, name: data.name, owner: me.id, at: now(), regions: structuredClone(layout.regions), kept: structuredClone(layout) }); return send(201, {}); }
  if ((m = at('/layouts/([^/]+)/apply'))) { history.push(structuredClone(layout)); Object.assign(layout, structuredClone(layouts.find((l) => l.id === m[0]).kept), { version: layout.version, incident: layout.incident }); touch(); return send(200, { layout, refused: [] }); }
  if (path === '/tours') { if (verb === 'GET') return list(tours); tours.push({ ...data, id: `T-${tours.length + 1}`, state: 'stopped', owner: me.id }); return send(201, {}); }
  if ((m = at('/tours/([^/]+)/(start|stop|pause|resume)'))) { Object.assign(tours.find((t) => t.id === m[0]), { state: { start: 'running', stop: 'stopped', pause: 'paused', resume: 'running' }[m[1]]}); return send(200, {}); }
  if (path === '/alarms') { if (verb === 'GET') return list(alarms); alarms.push({ ...data, id: alarms.length + 1, at: now(), by: me.id, acknowledged_by: null, acknowledged_at: null, called: [] }); tell('alarm', {}); return send(201, {}); }
  if ((m = at('/alarms/([^/]+)/acknowledge'))) { alarms.find((a) => a.id === Number(m[0])).acknowledged_by = me.id; return send(200, {}); }
  if (path === '/alarm-rules') { if (verb === 'GET') return list(rules); rules.push({ ...data, id: `r-${rules.length + 1}` }); return send(201, {}); }
  wrong(404, 'address', `the development server does not know ${verb} ${path}`);
}).listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}  (log in as ${people.map((p) => p.name).join(', ')}; any password)`));

// What the demo needs before anything may be shown: people, an agreement of every zone, an incident.
// Deny is the default, so without this the wall stays dark and says why.
//
//   node scripts/demo-rights.mjs http://127.0.0.1:8700 SETUP_TOKEN
const [base, token] = process.argv.slice(2);
const password = 'vitrail-demo-only';

async function call(method, path, body, login) {
  const headers = { 'Content-Type': 'application/json' };
  if (login) Object.assign(headers, { Cookie: login.cookie, 'X-CSRF': login.csrf });
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  const said = text ? JSON.parse(text) : null;
  if (!answer.ok) throw new Error(`${method} ${path}: ${said?.title}: ${said?.detail}`);
  return { said, cookie: answer.headers.getSetCookie().map((c) => c.split(';')[0]).join('; ') };
}

async function login(name) {
  const { said, cookie } = await call('POST', '/login', { name, password });
  return { cookie, csrf: said.csrf };
}

await call('POST', '/setup', { token, name: 'admin', password });
const admin = await login('admin');
const zones = (await call('GET', '/zones', null, admin)).said.items.map((zone) => zone.id);
const people = [
  { name: 'anna', role: 'supervisor' },
  { name: 'otto', role: 'operator' },
  { name: 'audrey', role: 'auditor' },
  { name: 'zoe', role: 'zone-authority', zones },
  { name: 'zack', role: 'zone-authority', zones },
];
for (const person of people) await call('POST', '/accounts', { ...person, password }, admin);
const [drafter, signer, anna] = [await login('zoe'), await login('zack'), await login('anna')];
const now = Date.now();
for (const zone of zones) {
  const terms = {
    zone,
    title: `Live pictures of ${zone} for the crisis centre`,
    parties: [`zone ${zone}`, 'Brussels region'],
    purposes: ['public-order'],
    live: true,
    record: true,
    export: true,
    units: ['regional-crisis-centre'],
    tags: [],
    valid_from: new Date(now - 86_400_000).toISOString(),
    valid_to: new Date(now + 365 * 86_400_000).toISOString(),
  };
  const { said } = await call('POST', '/agreements', terms, drafter);
  await call('POST', `/agreements/${said.id}/sign`, { version: said.version }, signer);
}
const incident = {
  title: 'Demonstration',
  reason: 'Public order during the demonstration',
  legal_basis: 'lfp-22',
  reference: 'DEMO-1',
  purpose: 'public-order',
};
const { said: opened } = await call('POST', '/incidents', incident, anna);
await call('PUT', '/wall/incident', { incident: opened.id }, anna);
console.log(`people: ${people.map((p) => `${p.name} (${p.role})`).join(', ')}, admin; password of each: ${password}`);

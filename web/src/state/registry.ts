// The cameras, zones and sites as the page knows them: 8,000 rows, searched without asking the server for each letter.
import { computed, signal } from '@preact/signals';
import { all, get, query } from '../api/client';
import type { Camera, Page, Site, Zone } from '../api/types';

/** What lists, tree, map and search need of a camera. */
export interface Row {
  id: string; name: string; zone: string | null; site: string | null; latitude: number | null; longitude: number | null;
  /** It can be moved. */
  onvif: boolean;
  /** What search looks through. */
  text: string;
}

export const rows = signal<Row[]>([]);
export const zones = signal<Zone[]>([]);
export const sites = signal<Site[]>([]);
export const loaded = signal(false);

export const byId = computed(() => new Map(rows.value.map((row) => [row.id, row])));
export const zoneName = (id: string | null) => zones.value.find((z) => z.id === id)?.name ?? id ?? '';
const siteNames = computed(() => new Map(sites.value.map((site) => [site.id, site.name])));
export const siteName = (id: string | null) => (id ? (siteNames.value.get(id) ?? id) : '');

/** Lower case, without accents: as people type. */
export const folded = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

let reading: Promise<void> | null = null;

export function readRegistry(): Promise<void> {
  reading ??= read().finally(() => {
    reading = null;
  });
  return reading;
}

/** Page by page, so that a long list is there at once in part and never holds up the page. */
async function read(): Promise<void> {
  const [zoneList, siteList] = await Promise.all([all<Zone>('/zones'), all<Site>('/sites')]);
  zones.value = zoneList;
  sites.value = siteList;
  const zoneText = new Map(zoneList.map((z) => [z.id, z.name]));
  const siteText = new Map(siteList.map((s) => [s.id, s.name]));
  let read: Row[] = [];
  let after: string | null = null;
  do {
    const page: Page<Camera> = await get<Page<Camera>>(query('/cameras', { limit: 1000, after }));
    read = [...read, ...page.items.map((camera) => rowOf(camera, zoneText.get(camera.zone ?? ''), siteText.get(camera.site ?? '')))];
    after = page.next;
    // The first time, what is there is shown; later, the list stays whole until the new one is.
    if (!loaded.value || !after) rows.value = read;
  } while (after);
  loaded.value = true;
}

function rowOf(camera: Camera, zone = '', site = ''): Row {
  const { id, name, latitude, longitude, tags } = camera;
  return {
    id, name, zone: camera.zone, site: camera.site, latitude, longitude, onvif: !!camera.onvif,
    text: folded(`${id} ${name} ${camera.zone ?? ''} ${zone} ${camera.site ?? ''} ${site} ${tags.join(' ')}`),
  };
}

/** Rows that hold every word; the order is the registry's. */
export function search(list: readonly Row[], text: string): Row[] {
  const words = folded(text).split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...list];
  return list.filter((row) => words.every((word) => row.text.includes(word)));
}

export type TreeLine =
  | { kind: 'zone'; key: string; name: string; count: number; open: boolean }
  | { kind: 'site'; key: string; name: string; count: number; open: boolean }
  | { kind: 'camera'; key: string; row: Row; depth: 1 | 2 };

const NONE = '\u0000';

/** The tree zone > site > camera as the lines that are open now. */
export function treeLines(list: readonly Row[], isOpen: (key: string) => boolean, noZone: string): TreeLine[] {
  const tree = new Map<string, Map<string, Row[]>>();
  for (const row of list) {
    const zone = row.zone ?? NONE;
    let branch = tree.get(zone);
    if (!branch) tree.set(zone, (branch = new Map()));
    const site = row.site ?? NONE;
    const leaf = branch.get(site);
    if (leaf) leaf.push(row);
    else branch.set(site, [row]);
  }
  const lines: TreeLine[] = [];
  for (const [zone, branch] of [...tree].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = `z:${zone}`;
    const open = isOpen(key);
    const count = [...branch.values()].reduce((sum, leaf) => sum + leaf.length, 0);
    lines.push({ kind: 'zone', key, name: zone === NONE ? noZone : zoneName(zone), count, open });
    if (!open) continue;
    for (const [site, leaf] of branch) {
      if (site === NONE) {
        for (const row of leaf) lines.push({ kind: 'camera', key: row.id, row, depth: 1 });
        continue;
      }
      const siteKey = `s:${zone}/${site}`;
      const siteOpen = isOpen(siteKey);
      lines.push({ kind: 'site', key: siteKey, name: siteName(site), count: leaf.length, open: siteOpen });
      if (siteOpen) for (const row of leaf) lines.push({ kind: 'camera', key: row.id, row, depth: 2 });
    }
  }
  return lines;
}

// The cameras, zones and sites as the page knows them: 8,000 rows, searched without asking the server for each letter.
import { computed, signal } from '@preact/signals';
import { all, get, query } from '../api/client';
import type { Camera, MapRow, Page, Site, Zone } from '../api/types';

export interface Row { id: string; name: string; zone: string | null; site: string | null; latitude: number | null; longitude: number | null; text: string }

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

async function read(): Promise<void> {
  const [map, zoneList, siteList] = await Promise.all([
    get<MapRow[] | Page<MapRow>>('/cameras/map'),
    all<Zone>('/zones'),
    all<Site>('/sites'),
  ]);
  const list = Array.isArray(map) ? map : map.items;
  zones.value = zoneList;
  sites.value = siteList;
  const zoneText = new Map(zoneList.map((z) => [z.id, z.name]));
  const siteText = new Map(siteList.map((s) => [s.id, s.name]));
  rows.value = list.map(([id, name, latitude, longitude, zone, site]) => ({
    id, name, zone, site: site ?? null, latitude, longitude,
    text: folded(`${id} ${name} ${zone ?? ''} ${zoneText.get(zone ?? '') ?? ''} ${site ?? ''} ${siteText.get(site ?? '') ?? ''}`),
  }));
  loaded.value = true;
}

/** Rows that hold every word; the order is the registry's. */
export function search(list: readonly Row[], text: string): Row[] {
  const words = folded(text).split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...list];
  return list.filter((row) => words.every((word) => row.text.includes(word)));
}

/** What the server finds besides: it knows tags too. */
export async function searchServer(text: string, signal: AbortSignal): Promise<string[]> {
  const page = await get<Page<Camera>>(query('/cameras', { q: text, limit: 200 }), signal);
  return page.items.map((camera) => camera.id);
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

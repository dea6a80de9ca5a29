// Searching and folding thousands of cameras in the browser.
import { describe, expect, it } from 'vitest';
import { folded, search, treeLines, type Row } from '../src/state/registry';

const row = (id: string, name: string, zone: string | null, site: string | null): Row => ({ id, name, zone, site, latitude: null, longitude: null, onvif: false, text: folded(`${id} ${name} ${zone ?? ''} ${site ?? ''}`) });
const list = [row('cam-1', 'Église Sainte-Marie', 'north', 'square'), row('cam-2', 'Gare du Midi', 'north', 'station'), row('cam-3', 'Canal lock', 'canal', null), row('cam-4', 'Lost', null, null)];

describe('search', () => {
  it('finds every word in any order, without accents or case', () => {
    expect(search(list, 'marie eglise').map((r) => r.id)).toEqual(['cam-1']);
    expect(search(list, 'NORTH').map((r) => r.id)).toEqual(['cam-1', 'cam-2']);
    expect(search(list, 'gare canal')).toEqual([]);
    expect(search(list, '  ')).toHaveLength(4);
  });
  it('finds all of them among 8,000', () => {
    const many = Array.from({ length: 8000 }, (_, i) => row(`cam-${i}`, `Crossing ${i}`, `zone-${i % 6}`, `site-${i >> 4}`));
    expect(search(many, 'crossing 79')).toHaveLength(many.filter((r) => r.text.includes('79')).length);
  });
});

describe('tree', () => {
  const kinds = (open: (key: string) => boolean) => treeLines(list, open, 'none').map((line) => `${line.kind}:${line.kind === 'camera' ? line.row.id : line.name}`);
  it('shows only the zones where all is closed', () => {
    expect(kinds(() => false)).toEqual(['zone:none', 'zone:canal', 'zone:north']);
  });
  it('puts cameras under their sites, and those without one under the zone', () => {
    expect(kinds(() => true)).toEqual(['zone:none', 'camera:cam-4', 'zone:canal', 'camera:cam-3', 'zone:north', 'site:square', 'camera:cam-1', 'site:station', 'camera:cam-2']);
  });
  it('loses no camera and shows none twice', () => {
    const cameras = treeLines(list, () => true, 'none').flatMap((line) => (line.kind === 'camera' ? [line.row.id] : []));
    expect(cameras.sort()).toEqual(list.map((r) => r.id).sort());
  });
});

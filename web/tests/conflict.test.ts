// Two operators at once: what is shown to the one who was slower, and what is still done of his changes.
import { describe, expect, it } from 'vitest';
import type { Change, Layout, LayoutTile } from '../src/api/types';
import { changesTo, differences, isLayout, stillPossible, touched } from '../src/layout/conflict';

const tile = (id: string, camera: string | null, more: Partial<LayoutTile> = {}): LayoutTile => ({ id, camera, at: null, pinned: false, locked: false, fit: 'contain', crop: null, by: null, ...more });
const layout = (version: number, tiles: LayoutTile[], arrangement = '2x2'): Layout => ({
  version, incident: null, by: 'ben', at: null, regions: [{ id: 'left', screens: ['left'], arrangement, tiles }],
});
const seen = layout(4, [tile('left.1', 'cam-1'), tile('left.2', 'cam-2'), tile('left.3', null)]);

describe('differences', () => {
  it('says nothing of what is the same', () => {
    expect(differences(seen, { ...structuredClone(seen), version: 5 })).toEqual([]);
  });
  it('names what the other did, and who', () => {
    const now = layout(6, [tile('left.1', 'cam-9', { by: 'ben' }), tile('left.2', 'cam-2', { locked: true }), tile('left.3', null)], '3x3');
    expect(differences(seen, now)).toEqual([
      { subject: 'left', what: 'arrangement', from: '2x2', to: '3x3', by: 'ben' },
      { subject: 'left.1', what: 'camera', from: 'cam-1', to: 'cam-9', by: 'ben' },
      { subject: 'left.2', what: 'locked', from: 'false', to: 'true', by: 'ben' },
    ]);
  });
  it('tells regions that came and went', () => {
    const now = { ...layout(7, []), regions: [{ id: 'span', screens: ['left', 'right'], arrangement: '1', tiles: [] }] };
    expect(differences(seen, now).map((d) => [d.subject, d.what])).toEqual([['span', 'new'], ['left', 'gone']]);
  });
});

describe('stillPossible', () => {
  const mine: Change[] = [{ op: 'show', tile: 'left.1', camera: 'cam-5' }, { op: 'swap', a: 'left.2', b: 'left.3' }, { op: 'lock', tile: 'left.2', locked: false }, { op: 'clear', tile: 'left.9' }];
  it('keeps what can be done, and says why not of the rest', () => {
    const now = layout(6, [tile('left.1', 'cam-9'), tile('left.2', 'cam-2', { locked: true }), tile('left.3', null)]);
    const { possible, impossible } = stillPossible(mine, now);
    expect(possible).toEqual([mine[0], mine[2]]);
    expect(impossible).toEqual([{ change: mine[1], why: 'locked' }, { change: mine[3], why: 'gone' }]);
  });
  it('knows what every kind of change names', () => {
    expect(touched({ op: 'span', screens: ['a', 'b'], arrangement: '1' })).toEqual(['a', 'b']);
    expect(touched({ op: 'arrange', region: 'left', arrangement: '1' })).toEqual(['left']);
    expect(touched({ op: 'swap', a: 'x', b: 'y' })).toEqual(['x', 'y']);
    expect(touched({ op: 'pin', tile: 'x', pinned: true })).toEqual(['x']);
  });
});

describe('saved layouts', () => {
  it('become changes of the regions that this wall has', () => {
    const wanted = [
      { id: 'left', screens: ['left'], arrangement: '1+5', tiles: [tile('left.1', 'cam-7'), tile('left.2', null)] },
      { id: 'gone', screens: ['gone'], arrangement: '1', tiles: [tile('gone.1', 'cam-1')] },
    ];
    expect(changesTo(seen, wanted)).toEqual([{ op: 'arrange', region: 'left', arrangement: '1+5' }, { op: 'show', tile: 'left.1', camera: 'cam-7' }]);
    expect(changesTo(null, wanted)).toEqual([]);
  });
  it('are told from anything else', () => {
    expect(isLayout(seen)).toBe(true);
    for (const other of [null, undefined, {}, { version: 1 }, { layout: seen }]) expect(isLayout(other)).toBe(false);
  });
});

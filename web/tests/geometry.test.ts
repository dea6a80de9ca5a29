// Where things are: what the page draws over the wall must lie where the wall draws it.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Rect } from '../src/api/types';
import { contained, hang, hull, neighbour, normalised, panned, shapeOf, spanned, under, WIDE, zoomed } from '../src/layout/geometry';

const grid = (columns: number, rows: number) =>
  Array.from({ length: columns * rows }, (_, i) => ({ id: `t${i + 1}`, rect: [(i % columns) * 100, Math.floor(i / columns) * 100, 100, 100] as Rect }));
/** One large tile and five small ones, as the preset 1+5 has them. */
const onePlusFive = [
  { id: 'big', rect: [0, 0, 200, 200] as Rect },
  { id: 'r1', rect: [200, 0, 100, 100] as Rect },
  { id: 'r2', rect: [200, 100, 100, 100] as Rect },
  { id: 'b1', rect: [0, 200, 100, 100] as Rect },
  { id: 'b2', rect: [100, 200, 100, 100] as Rect },
  { id: 'b3', rect: [200, 200, 100, 100] as Rect },
];

describe('under', () => {
  it('finds the tile whose edges are half open', () => {
    expect(under(grid(4, 4), 99.9, 0)?.id).toBe('t1');
    expect(under(grid(4, 4), 100, 0)?.id).toBe('t2');
    expect(under(grid(4, 4), 400, 0)).toBeNull();
  });
  it('takes the one that lies on top', () => {
    const over = { id: 'span', rect: [50, 50, 100, 100] as Rect };
    expect(under([...grid(4, 4), over], 120, 120)?.id).toBe('span');
  });
});

describe('neighbour', () => {
  it('walks a grid and stops at its edges', () => {
    const tiles = grid(4, 4);
    expect(neighbour(tiles, 't6', 'left')?.id).toBe('t5');
    expect(neighbour(tiles, 't6', 'right')?.id).toBe('t7');
    expect(neighbour(tiles, 't6', 'up')?.id).toBe('t2');
    expect(neighbour(tiles, 't6', 'down')?.id).toBe('t10');
    expect(neighbour(tiles, 't4', 'right')).toBeNull();
    expect(neighbour(tiles, 't1', 'up')).toBeNull();
  });
  it('leaves a large tile to a small one beside it, and comes back', () => {
    expect(['r1', 'r2']).toContain(neighbour(onePlusFive, 'big', 'right')?.id);
    expect(['b1', 'b2']).toContain(neighbour(onePlusFive, 'big', 'down')?.id);
    expect(neighbour(onePlusFive, 'r2', 'left')?.id).toBe('big');
    expect(neighbour(onePlusFive, 'b1', 'up')?.id).toBe('big');
  });
  it.each([['4x4', grid(4, 4)], ['8x8', grid(8, 8)], ['1+5', onePlusFive]] as const)('reaches every tile of %s by arrows', (_, tiles) => {
    const seen = new Set([tiles[0]!.id]);
    const queue = [tiles[0]!.id];
    for (let id = queue.pop(); id; id = queue.pop()) {
      for (const direction of ['left', 'right', 'up', 'down'] as const) {
        const next = neighbour(tiles, id, direction)?.id;
        if (next && !seen.has(next)) {
          seen.add(next);
          queue.push(next);
        }
      }
    }
    expect(seen.size).toBe(tiles.length);
  });
});

describe('hang', () => {
  it('keeps the places that are stated, as parts of the wall', () => {
    const { places, shape } = hang([
      { id: 'a', x: 0, y: 0, width: 1920, height: 1080 },
      { id: 'b', x: 1920, y: 0, width: 1920, height: 1080 },
      { id: 'c', x: 0, y: 1080, width: 3840, height: 1080 },
    ]);
    expect(shape).toBeCloseTo(3840 / 2160);
    expect(places.find((p) => p.id === 'b')?.rect).toEqual([0.5, 0, 0.5, 0.5]);
    expect(places.find((p) => p.id === 'c')?.rect).toEqual([0, 0.5, 1, 0.5]);
  });
  it('lays out in rows what would lie on one place', () => {
    const { places } = hang(Array.from({ length: 16 }, (_, i) => ({ id: `s${i}`, x: 0, y: 0, width: 1920, height: 1080 })));
    expect(new Set(places.map((p) => p.rect.join())).size).toBe(16);
  });
});

describe('digital zoom', () => {
  it('keeps the point under the pointer where it is', () => {
    let crop: Rect | null = null;
    for (let i = 0; i < 5; i++) {
      const [x0, , w0] = crop ?? [0, 0, 1, 1];
      const before = x0 + 0.8 * w0;
      crop = zoomed(crop, 1.3, 0.8, 0.2);
      const [x1, , w1] = crop ?? [0, 0, 1, 1];
      expect(x1 + 0.8 * w1).toBeCloseTo(before, 3);
    }
  });
  it('never leaves the picture, never goes below its smallest, and ends as the whole', () => {
    let crop = zoomed(null, 1000);
    expect(crop![2]).toBeCloseTo(0.1);
    for (let i = 0; i < 50; i++) {
      crop = panned(crop, 1, 1);
      expect(crop![0] + crop![2]).toBeLessThanOrEqual(1.0001);
      expect(crop![1] + crop![3]).toBeLessThanOrEqual(1.0001);
    }
    expect(zoomed(crop, 1 / 1000)).toBeNull();
    expect(panned(null, 0.5, 0.5)).toBeNull();
    expect(normalised([0, 0, 1, 1])).toBeNull();
  });
});

describe('small shapes', () => {
  it('fits a shape into a box', () => {
    expect(contained([1000, 1000], [16, 9])).toEqual([0, 218.75, 1000, 562.5]);
    expect(contained([0, 0], [0, 9])).toEqual([0, 0, 0, 0]);
  });
  it('spans two points in either order', () => {
    expect(spanned(0.8, 0.9, 0.2, -1)).toEqual([0.2, 0, 0.6, 0.9]);
  });
  it('wraps points in their hull', () => {
    const points: [number, number][] = [[0, 0], [4, 0], [4, 4], [0, 4], [2, 2], [1, 3]];
    expect(hull(points)).toHaveLength(4);
    expect(hull([[1, 1]])).toEqual([[1, 1]]);
  });
});

describe('the area of masks', () => {
  /** Where a point of the area lies on the picture that is drawn in it as `contain` does. */
  const onPicture = (area: [number, number], picture: [number, number], at: number) => {
    const [left, , width] = contained(area, picture);
    return (at * area[0] - left) / width;
  };
  it.each([[640, 480], [1920, 1080], [704, 576], [1080, 1920]] as [number, number][])('has the shape of a picture of %d × %d', (width, height) => {
    const shape = shapeOf([width, height], WIDE);
    for (const at of [0, 0.25, 0.5, 1]) expect(onPicture([500 * shape, 500], [width, height], at)).toBeCloseTo(at, 6);
  });
  it('keeps its shape until a picture tells another', () => {
    expect(shapeOf([0, 0], WIDE)).toBe(WIDE);
    expect(shapeOf([0, 0], 4 / 3)).toBe(4 / 3);
  });
  it('is filled by the picture, so that fractions of one are fractions of the other', () => {
    const css = readFileSync(new URL('../src/styles/pages.css', import.meta.url), 'utf8');
    const area = css.match(/^\.mask-area \{.*$/m)?.[0] ?? '';
    expect(area).toContain('aspect-ratio: var(--shape)');
    expect(css).toContain('.mask-area .thumbnail img { object-fit: fill; }');
  });
});

// What the machine cannot give is said of cameras and of screens alike.
import { describe, expect, it } from 'vitest';
import en from '../src/i18n/en.json';
import { isSlower, lesser, stepWord } from '../src/views/wall/admission';

describe('a layout that fits with less', () => {
  it('names the screens, also where no camera is meant', () => {
    expect(lesser({ admission: 'degraded', cameras: [], screens: [{ screen: 'left', step: 'half-rate' }] })).toEqual([{ key: 'screen left', name: 'left', step: 'half-rate' }]);
  });
  it('names cameras and screens, each with a step that has a word', () => {
    const all = lesser({ admission: 'degraded', cameras: [{ camera: 'cam-1', step: 'FewerKeyFrames(3)' }], screens: [{ screen: 'left', step: 'quarter-rate' }] });
    expect(all.map((one) => one.name)).toEqual(['left', 'cam-1']);
    for (const one of all) expect(Object.keys(en.step)).toContain(one.step);
    expect(stepWord('KeyFrames')).toBe('key-frames');
  });
});

describe('a screen', () => {
  it('is marked where it shows fewer pictures, and not where it is only encoded faster', () => {
    const marked = (step: string) => isSlower({ degraded: step !== 'as-asked', step });
    expect(['half-rate', 'quarter-rate', 'of a later server'].every(marked)).toBe(true);
    expect(['as-asked', 'faster-preset'].some(marked)).toBe(false);
  });
});

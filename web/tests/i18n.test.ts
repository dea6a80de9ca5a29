// Every text in every language, every text that the code asks for, and the same values in each.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import en from '../src/i18n/en.json';
import fr from '../src/i18n/fr.json';
import nl from '../src/i18n/nl.json';

const flat = (value: object, prefix = ''): Map<string, string> =>
  new Map(Object.entries(value).flatMap(([key, inner]) => (typeof inner === 'string' ? [[prefix + key, inner] as const] : [...flat(inner as object, `${prefix}${key}.`)])));
const all = { en: flat(en), fr: flat(fr), nl: flat(nl) };
const values = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((m) => m[1]).sort();

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? sources(join(folder, entry.name)) : /\.tsx?$/.test(entry.name) ? [readFileSync(join(folder, entry.name), 'utf8')] : [],
  );
}
const code = sources(new URL('../src', import.meta.url).pathname).join('\n');

describe.each(['fr', 'nl'] as const)('%s', (language) => {
  it('has every text that English has, and no other', () => {
    expect([...all[language].keys()].sort()).toEqual([...all.en.keys()].sort());
  });
  it('names the same values in each text', () => {
    for (const [key, text] of all.en) expect([key, values(all[language].get(key) ?? '')]).toEqual([key, values(text)]);
  });
  it('leaves none empty', () => {
    for (const [key, text] of all[language]) expect([key, text.trim() !== '']).toEqual([key, true]);
  });
});

describe('the code', () => {
  it('asks for no text that is not there', () => {
    const asked = [...code.matchAll(/\bt\('([\w.-]+)'/g), ...code.matchAll(/does: '([\w.-]+)'/g), ...code.matchAll(/', '((?:key|wall)\.\w+)'\]/g)].map((m) => m[1]!);
    expect(asked.length).toBeGreaterThan(200);
    expect(asked.filter((key) => !all.en.has(key))).toEqual([]);
  });
  it('asks for no group that is not there', () => {
    const groups = [...code.matchAll(/\b(?:t|word)\(`([\w.]+)\.\$/g), ...code.matchAll(/\bword\('(\w+)'/g)].map((m) => m[1]!);
    const there = [...all.en.keys()];
    expect(groups.filter((group) => !there.some((key) => key.startsWith(`${group}.`)))).toEqual([]);
  });
  it('shows no text that is written into it', () => {
    const written = [...code.matchAll(/>\s*([A-Z][a-z]+ [a-z]+[^<{}]*)</g)].map((m) => m[1]!.trim());
    expect(written).toEqual([]);
  });
});

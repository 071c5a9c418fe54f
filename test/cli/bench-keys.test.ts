import { describe, expect, test } from 'vitest';
import { FinishedKeys } from '../../src/cli/finished-keys.js';
import { zipf } from '../../src/cli/zipf.js';
import { seededRandom } from '../support/seeded-random.js';

describe('finished keys', () => {
  const drawn = (keys: FinishedKeys, now: number) =>
    [0, 0.25, 0.5, 0.75, 0.999_999].map((chance) => keys.draw(now, () => chance));

  test('are drawn by chance, none when there is none', () => {
    const keys = new FinishedKeys(100);
    expect(keys.draw(0, () => 0)).toBeUndefined();
    for (const key of ['a', 'b', 'c', 'd']) keys.add(key, 0);
    expect(drawn(keys, 0)).toEqual(['a', 'b', 'c', 'd', 'd']);
  });

  test('are forgotten when their time is over', () => {
    const keys = new FinishedKeys(100);
    keys.add('early', 0);
    keys.add('late', 50);
    expect(new Set(drawn(keys, 99))).toEqual(new Set(['early', 'late']));
    expect(new Set(drawn(keys, 100))).toEqual(new Set(['late']));
    expect(new Set(drawn(keys, 150))).toEqual(new Set([undefined]));
    keys.add('next', 151);
    expect(new Set(drawn(keys, 151))).toEqual(new Set(['next']));
  });

  test('are the latest 10,000', () => {
    const keys = new FinishedKeys(Infinity);
    for (let i = 0; i < 25_000; i += 1) keys.add(String(i), i);
    expect([keys.draw(25_000, () => 0), keys.draw(25_000, () => 0.999_999)]).toEqual(['15000', '24999']);
  });
});

test('zipf draws the first rank as often as the theory says, and all others in their turn', () => {
  const count = 1000;
  const harmonic = Array.from({ length: count }, (_, rank) => 1 / (rank + 1)).reduce((a, b) => a + b);
  const next = zipf(count, seededRandom(3));
  const seen = new Map<number, number>();
  const draws = 200_000;
  for (let i = 0; i < draws; i += 1) {
    const rank = next();
    seen.set(rank, (seen.get(rank) ?? 0) + 1);
  }
  for (const rank of [0, 1, 9]) {
    const expected = draws / (rank + 1) / harmonic;
    expect(Math.abs((seen.get(rank) ?? 0) - expected)).toBeLessThan(6 * Math.sqrt(expected));
  }
  expect([Math.min(...seen.keys()), Math.max(...seen.keys())]).toEqual([0, count - 1]);
  expect([zipf(count, () => 0)(), zipf(count, () => 1 - 2 ** -53)()]).toEqual([0, count - 1]);
});

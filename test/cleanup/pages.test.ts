import { describe, expect, test } from 'vitest';
import { PageDraw, pickByWeight, shuffled } from '../../src/cleanup/pages.js';
import { seededRandom } from '../support/seeded-random.js';
import { chiSquare } from './chi-square.js';

describe('PageDraw', () => {
  test('draws every page once, batch by batch, in physical order', () => {
    const draw = new PageDraw(100, seededRandom(1));
    const batches = [32, 32, 32, 32, 32].map((count) => draw.next(count));
    expect(batches.map(({ length }) => length)).toEqual([32, 32, 32, 4, 0]);
    for (const batch of batches) expect(batch).toEqual([...batch].sort((a, b) => a - b));
    expect(new Set(batches.flat()).size).toBe(100);
    expect(draw.left).toBe(0);
  });

  test('draws nothing of an empty table', () => {
    expect(new PageDraw(0, seededRandom(1)).next(32)).toEqual([]);
  });

  test('is the same for every page, in the first batch and in the second', () => {
    const random = seededRandom(2);
    const times = 20_000;
    const drawn = { first: new Array<number>(40).fill(0), second: new Array<number>(40).fill(0) };
    for (let i = 0; i < times; i += 1) {
      const draw = new PageDraw(40, random);
      for (const page of draw.next(8)) drawn.first[page]! += 1;
      for (const page of draw.next(8)) drawn.second[page]! += 1;
    }
    // Without replacement the counts vary by a factor of 1 - 8/40 less than in the test.
    for (const counts of [drawn.first, drawn.second]) expect(chiSquare(counts)).toBeLessThan(0.8 * 76);
  });

  test('is the same for every pair of pages', () => {
    const random = seededRandom(3);
    const pairs = new Map<string, number>();
    for (let i = 0; i < 20_000; i += 1) {
      const pair = new PageDraw(8, random).next(2).join();
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(pairs.size).toBe(28);
    expect(chiSquare([...pairs.values()])).toBeLessThan(60);
  });

  test('holds whatever the dice say', () => {
    for (const dice of [0, 1 - 2 ** -47]) {
      const draw = new PageDraw(100, () => dice);
      expect(new Set([draw.next(60), draw.next(60)].flat()).size).toBe(100);
    }
  });

  test('is cheap for few of many pages', () => {
    const draw = new PageDraw(2 ** 32, seededRandom(4));
    const pages = draw.next(1000);
    expect(new Set(pages).size).toBe(1000);
    expect(Math.max(...pages)).toBeGreaterThan(2 ** 31);
  });
});

test('a weighty item is picked as often as it weighs', () => {
  const random = seededRandom(5);
  const picked = [0, 0, 0, 0];
  for (let i = 0; i < 10_000; i += 1) picked[pickByWeight([0, 1, 2, 3], (item) => item, random)]! += 1;
  expect(picked[0]).toBe(0);
  // Expected are 1,667, 3,333 and 5,000; give or take four standard deviations.
  for (const item of [1, 2, 3]) expect(Math.abs(picked[item]! - (item * 10_000) / 6)).toBeLessThan(200);
});

test('the last item is picked when rounding leaves nothing', () => {
  expect(
    pickByWeight(
      ['a', 'b'],
      () => 0.1,
      () => 1,
    ),
  ).toBe('b');
});

test('shuffling keeps all items and prefers none', () => {
  const random = seededRandom(6);
  const orders = new Map<string, number>();
  for (let i = 0; i < 6000; i += 1) {
    const order = shuffled(['a', 'b', 'c'], random).join('');
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  expect([...orders.keys()].sort()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
  expect(chiSquare([...orders.values()])).toBeLessThan(20.5);
});

import { describe, expect, test } from 'vitest';
import { estimateStore } from '../../src/core/estimate.js';
import { otherNamespaces, sampleOf, type PageCount, type Sample } from '../../src/core/sample.js';

function countOf(page: number, namespace: string, live: number, expired = 0): PageCount {
  return {
    page,
    namespace,
    live,
    expired,
    strippable: 0,
    liveBytes: 100 * live,
    expiredBytes: 100 * expired,
    oldestExpiredMs: expired * 1000,
  };
}

function sample(
  counts: readonly PageCount[],
  pages: Partial<Sample> = {},
  removed: Readonly<Record<string, number>> = {},
): Sample {
  const all = { time: 5, pageCount: 100, drawnPages: 10, visitedPages: 10, ...pages };
  return sampleOf({ ...all, counts }, new Map(Object.entries(removed)));
}

describe('a sample', () => {
  test('adds up the namespaces of a page before it squares', () => {
    const { all, namespaces, pageRows, oldestExpiredMs } = sample([
      countOf(1, 'a', 3),
      countOf(1, 'b', 1, 2),
      countOf(2, 'a', 5),
    ]);
    expect(all.live).toEqual({ rows: 9, squares: 41, bytes: 900 });
    expect(all.expired).toEqual({ rows: 2, squares: 4, bytes: 200 });
    expect(namespaces).toMatchObject([
      { namespace: 'a', live: { rows: 8, squares: 34 }, expired: { rows: 0 } },
      { namespace: 'b', live: { rows: 1, squares: 1 }, expired: { rows: 2, squares: 4 } },
    ]);
    expect(pageRows).toBe(6);
    expect(oldestExpiredMs).toBe(2000);
  });

  test('names the hundred most frequent namespaces, and the others as one', () => {
    const counts = Array.from({ length: 150 }, (_, i) => countOf(i % 10, `n${i}`, i + 1, 1));
    const { namespaces, all } = sample(counts, {}, { n0: 4, n149: 7, unseen: 2 });
    expect(namespaces).toHaveLength(101);
    const others = namespaces.find(({ namespace }) => namespace === otherNamespaces)!;
    // The fifty with 1 to 50 live rows.
    expect(others.live.rows).toBe(1275);
    expect(others.expired.rows).toBe(50);
    // Also of a namespace that no drawn page had.
    expect(others.removed).toBe(6);
    expect(namespaces.find(({ namespace }) => namespace === 'n149')).toMatchObject({ removed: 7 });
    expect(all.removed).toBe(13);
    const sum = namespaces.reduce((rows, { live }) => rows + live.rows, 0);
    expect(sum).toBe(all.live.rows);
  });

  test('is not surprised by what namespaces may be called', () => {
    const names = ['constructor', '__proto__', 'tostring', 'hasownproperty'];
    const counts = names.map((name, i) => countOf(i, name, i + 1));
    const kept = JSON.parse(
      JSON.stringify(sample(counts, {}, { constructor: 1, ['__proto__']: 1 })),
    ) as Sample;
    expect(kept.namespaces.map(({ namespace }) => namespace).sort()).toEqual([...names].sort());
    const { namespaces } = estimateStore([kept]);
    expect(names.map((name) => namespaces.get(name)?.live.rows)).toEqual([10, 20, 30, 40]);
  });

  test('of pages without rows has none', () => {
    expect(sample([])).toMatchObject({ pageRows: 0, all: { live: { rows: 0 } }, namespaces: [] });
  });
});

describe('an estimate', () => {
  test('of no sample is nothing, and of no time', () => {
    const { live, expired, namespaces, time } = estimateStore([]);
    expect([live, expired]).toEqual([
      { rows: 0, low: 0, high: 0, bytes: 0 },
      { rows: 0, low: 0, high: 0, bytes: 0 },
    ]);
    expect(namespaces.size).toBe(0);
    expect(time).toBeUndefined();
  });

  test('of all pages is exact', () => {
    const counts = Array.from({ length: 10 }, (_, page) => countOf(page, 'a', page, 1));
    const { live, expired } = estimateStore([sample(counts, { pageCount: 10 }, { a: 10 })]);
    expect(live).toEqual({ rows: 45, low: 45, high: 45, bytes: 4500 });
    expect(expired).toEqual({ rows: 0, low: 0, high: 0, bytes: 0 });
  });

  test('takes what drawn pages have for every page, less what was removed', () => {
    const counts = Array.from({ length: 10 }, (_, page) => countOf(page, 'a', 20, page % 2));
    const { live, expired } = estimateStore([sample(counts, {}, { a: 5 })]);
    expect(live).toMatchObject({ rows: 2000, bytes: 200_000 });
    expect(expired).toMatchObject({ rows: 45, bytes: 4500 });
    expect(expired.low).toBeLessThan(45);
    expect(expired.high).toBeGreaterThan(45);
  });

  test('does not take what was not seen for what is not there', () => {
    const counts = Array.from({ length: 10 }, (_, page) => countOf(page, 'a', 20));
    const { live, expired } = estimateStore([sample(counts)]);
    // Ten pages without leave up to a quarter of the others unknown.
    expect(expired).toMatchObject({ rows: 0, low: 0 });
    expect(expired.high).toBeGreaterThan(0.25 * 90 * 20);
    expect(live.low).toBeLessThan(0.75 * 2000);
    expect(live.high).toBeGreaterThan(2000);
  });

  test('never tells of more expired rows than pages that were not visited can hold', () => {
    const counts = Array.from({ length: 10 }, (_, page) => countOf(page, 'a', 0, 20));
    const { expired } = estimateStore([sample(counts, { visitedPages: 98 }, { a: 1900 })]);
    expect(expired).toMatchObject({ rows: 40, high: 40 });
  });

  test('of more partitions is surer than of one', () => {
    const counts = Array.from({ length: 10 }, (_, page) => countOf(page, 'a', 20, page));
    const width = (samples: readonly Sample[]) => {
      const { rows, low, high } = estimateStore(samples).live;
      return (high - low) / rows;
    };
    const uneven = sample(counts.map((count) => ({ ...count, live: count.expired })));
    expect(width(Array<Sample>(16).fill(uneven))).toBeLessThan(width([uneven]) / 3);
  });

  test('counts a namespace in partitions where no drawn page had it', () => {
    const [a, b] = [sample([countOf(1, 'a', 10)]), sample([countOf(1, 'b', 10)])];
    const { namespaces } = estimateStore([a, b]);
    expect(namespaces.get('a')?.live.rows).toBe(100);
    const alone = estimateStore([a]).namespaces.get('a')!.live;
    expect(namespaces.get('a')!.live.high).toBeGreaterThan(alone.high);
  });

  test('is as old as its oldest sample', () => {
    expect(estimateStore([sample([], { time: 7 }), sample([], { time: 3 })]).time).toBe(3);
  });
});

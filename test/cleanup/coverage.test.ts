import { describe, expect, test } from 'vitest';
import type { Random } from '../../src/cleanup/pages.js';
import { tick, type TickSettings } from '../../src/cleanup/tick.js';
import { estimateStore } from '../../src/core/estimate.js';
import { seededRandom } from '../support/seeded-random.js';
import { Coverage, type Judged } from './coverage.js';
import { populations, tooRare, type Population } from './populations.js';
import { simulate } from './simulation.js';
import { defaultSettings, SyntheticTarget } from './synthetic-target.js';

/** Ticks over tables made anew each time, and what their estimates were worth. */
async function coverageOf(
  { partitions, fill }: Population,
  times: number,
  more: {
    readonly settings?: Partial<TickSettings>;
    readonly dice?: (random: Random) => Random;
    readonly width?: number;
  } = {},
): Promise<Coverage> {
  const random = seededRandom(7);
  const dice = more.dice?.(random) ?? random;
  const coverage = new Coverage();
  for (let i = 0; i < times; i += 1) {
    // Time stands still, so that what is there is what was there when it was looked at.
    const target = new SyntheticTarget({ partitions, slots: 40, batchMs: 0, random, dice });
    for (const { table } of target.partitions) fill(table, target.nowTime, random);
    const settings = { ...defaultSettings, ...more.settings };
    await tick(target, settings, target.surroundings(), () => undefined);
    coverage.judge(target, more.width);
  }
  return coverage;
}

/** Below it, a share of 95 % is out of the question: three standard errors. */
function lowest(times: number): number {
  return 0.95 - 3 * Math.sqrt((0.95 * 0.05) / times);
}

const sum: Record<string, { times: number; held: number }> = {};

function note(kind: string, { times, held }: Judged): void {
  const so = (sum[kind] ??= { times: 0, held: 0 });
  so.times += times;
  so.held += held;
}

describe('95 % intervals hold what is there', () => {
  const times = 120;

  test.each(Object.entries(populations))('%s', async (_, population) => {
    const { of } = await coverageOf(population, times);
    for (const [kind, judged] of Object.entries(of)) {
      expect(judged.share, kind).toBeGreaterThan(lowest(times));
      note(kind, judged);
    }
  });

  test.each(['live', 'expired', 'live of a namespace', 'expired of a namespace'])(
    '%s, all in all',
    (kind) => {
      expect(sum[kind]!.held / sum[kind]!.times).toBeGreaterThanOrEqual(0.95);
    },
  );

  test.each([
    { arrivals: 1, retentionMs: 3_600_000, partitions: 4 },
    { arrivals: 20, retentionMs: 600_000, partitions: 2, vacuumMs: 60_000 },
    { arrivals: 10, retentionMs: 120_000, partitions: 4 },
  ])('while rows come and go, at %o', async (options) => {
    const coverage = new Coverage();
    let ticks = 0;
    await simulate({
      ...options,
      batchMs: 0,
      namespaceOf: (random) => Math.floor(4 * random() ** 2),
      random: seededRandom(8),
      warmUpMs: 3 * options.retentionMs,
      durationMs: 400 * 6 * 10_000,
      onTick: (target) => {
        // What a tick finds is much like what the one before found.
        if ((ticks += 1) % 6 === 0) coverage.judge(target);
      },
    });
    for (const [kind, judged] of Object.entries(coverage.of)) {
      expect(judged.times).toBeGreaterThanOrEqual(400);
      expect(judged.share, kind).toBeGreaterThanOrEqual(0.95);
    }
  });

  test('of one partition not where much is on pages that are few', async () => {
    const { of } = await coverageOf(tooRare, times);
    expect(of.expired.share).toBeLessThan(0.95);
    expect(of.expired.share).toBeGreaterThan(0.7);
  });

  test('and narrower ones do not', async () => {
    const { of } = await coverageOf(populations['rows expire alike'], times, { width: 0.6 });
    expect(of.expired.share).toBeLessThan(lowest(times));
    expect(of['live of a namespace'].share).toBeLessThan(lowest(times));
  });
});

describe('estimates are as often too high as too low', () => {
  // Of one batch: what a tick goes on to visit is known to be empty, so that estimates which are too high are cut.
  const settings = { threshold: 1 };

  test.each([
    'rows expire alike',
    'pages expire as wholes',
    'a page or two expired',
    'rows of many sizes',
    'small tables',
  ] as const)('%s', async (name) => {
    const { live, expired } = (await coverageOf(populations[name], 150, { settings })).of;
    // In standard errors.
    expect(Math.abs(live.bias)).toBeLessThan(3.5);
    expect(Math.abs(expired.bias)).toBeLessThan(3.5);
  });

  test('also when rows expire while a tick is under way', async () => {
    let [estimated, there] = [0, 0];
    await simulate({
      arrivals: 30,
      retentionMs: 60_000,
      partitions: 8,
      batchMs: 10,
      // Two batches for each of them, whatever is found.
      settings: { threshold: 0, timeBudgetMs: 160 },
      random: seededRandom(9),
      warmUpMs: 180_000,
      durationMs: 300 * 10_000,
      onTick: ({ partitions }) => {
        const samples = partitions.map(({ sample }) => sample!);
        estimated += estimateStore(samples).expired.rows;
        there += partitions.reduce((sum, { table }, i) => sum + table.count(samples[i]!.time).all.expired, 0);
      },
    });
    expect(Math.abs(estimated / there - 1)).toBeLessThan(0.025);
  });

  test('but not with dice that prefer the pages that came first', async () => {
    const aging: Population = {
      partitions: 4,
      fill: (table, nowTime) => {
        for (let i = 0; i < 4000; i += 1) table.insert(i < 400 ? nowTime - 1 : nowTime + 1, 0);
      },
    };
    const fair = await coverageOf(aging, 150, { settings });
    expect(Math.abs(fair.of.expired.bias)).toBeLessThan(3.5);
    expect(fair.of.expired.share).toBeGreaterThan(lowest(150));
    const biased = await coverageOf(aging, 150, { settings, dice: (random) => () => random() / 2 });
    expect(biased.of.expired.bias).toBeGreaterThan(8);
    expect(biased.of.expired.share).toBeLessThan(lowest(150));
  });
});

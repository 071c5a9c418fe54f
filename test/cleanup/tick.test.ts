import { describe, expect, test } from 'vitest';
import { tick, type TickSettings } from '../../src/cleanup/tick.js';
import { estimateStore } from '../../src/core/estimate.js';
import type { PageBatch } from '../../src/core/sweep-target.js';
import { seededRandom } from '../support/seeded-random.js';
import { defaultSettings, SyntheticTarget, type SyntheticOptions } from './synthetic-target.js';

/** Pages of ten rows, of which so many are expired. */
function tables(
  pageCount: number,
  expired: number,
  options: Partial<SyntheticOptions> = {},
): SyntheticTarget {
  const target = new SyntheticTarget({ slots: 10, random: seededRandom(1), ...options });
  for (const { table } of target.partitions) {
    for (let i = 0; i < pageCount * 10; i += 1) table.insert(i % 10 < expired ? 1 : Infinity, 0);
  }
  return target;
}

async function runTick(
  target: SyntheticTarget,
  settings: Partial<TickSettings> = {},
  onBatch: (batch: PageBatch) => void = () => undefined,
  signal?: AbortSignal,
) {
  const batches: PageBatch[] = [];
  const outcome = await tick(
    target,
    { ...defaultSettings, ...settings },
    target.surroundings(signal),
    (batch) => {
      batches.push(batch);
      onBatch(batch);
    },
  );
  const passed = batches.filter(({ pass }) => pass !== undefined);
  const drawn = batches.filter(({ pass }) => pass === undefined);
  return { outcome, passed, drawn };
}

describe('random pages', () => {
  test('are one batch of each partition where little is expired', async () => {
    const { outcome, drawn } = await runTick(tables(100, 1, { partitions: 4 }));
    expect(outcome).toBe('done');
    expect(drawn.map(({ partition }) => partition).sort()).toEqual(['p0', 'p1', 'p2', 'p3']);
    expect(drawn.every(({ pages }) => pages.length === 32)).toBe(true);
  });

  test('are all pages where more than the threshold is expired, and none twice', async () => {
    const target = tables(100, 2);
    const { outcome, drawn } = await runTick(target);
    expect(outcome).toBe('done');
    expect(drawn.map(({ pages }) => pages.length)).toEqual([32, 32, 32, 4]);
    expect(new Set(drawn.flatMap(({ pages }) => pages)).size).toBe(100);
    expect(target.count()).toMatchObject({ live: 800, expired: 0 });
  });

  test('go on only where it is worthwhile', async () => {
    const target = tables(100, 1, { partitions: 2 });
    const [, second] = target.partitions;
    for (let i = 0; i < 500; i += 1) second!.table.insert(1, 0);
    const { drawn } = await runTick(target);
    expect(drawn.filter(({ partition }) => partition === 'p0')).toHaveLength(1);
    expect(drawn.filter(({ partition }) => partition === 'p1').length).toBeGreaterThan(1);
  });

  test('count results to strip like expired rows', async () => {
    const target = tables(100, 0);
    const sweepPages = target.sweepPages.bind(target);
    let strippable = 2;
    target.sweepPages = async (batch) => {
      const swept = await sweepPages(batch);
      return { ...swept!, counts: swept!.counts.map((count) => ({ ...count, strippable })) };
    };
    expect((await runTick(target)).drawn).toHaveLength(4);
    strippable = 1;
    expect((await runTick(target)).drawn).toHaveLength(1);
  });

  test('of a partition that is busy are left, the others are not', async () => {
    const target = tables(100, 2, { partitions: 2 });
    target.busy.add('p0');
    const { outcome, drawn } = await runTick(target);
    expect(outcome).toBe('done');
    expect(drawn.map(({ partition }) => partition).sort()).toEqual(['p0', 'p1', 'p1', 'p1', 'p1']);
    expect(target.partitions.map(({ sample }) => sample?.drawnPages)).toEqual([undefined, 32]);
  });

  test('that could not be swept are not counted as visited, and end it', async () => {
    const target = tables(100, 2);
    const { drawn } = await runTick(target, {}, () => target.busy.add('p0'));
    expect(drawn).toHaveLength(2);
    expect(target.partitions[0]?.sample).toMatchObject({ drawnPages: 32, visitedPages: 32 });
  });

  test('end with the rows, with the time, and with a slow batch', async () => {
    const byRows = await runTick(tables(200, 5), { rowBudget: 200 });
    expect(byRows).toMatchObject({ outcome: 'budget', drawn: { length: 2 } });
    const byTime = await runTick(tables(200, 5, { batchMs: 40 }), { timeBudgetMs: 100 });
    expect(byTime).toMatchObject({ outcome: 'budget', drawn: { length: 3 } });
    const slow = await runTick(tables(200, 5, { batchMs: 51 }));
    expect(slow).toMatchObject({ outcome: 'braked', drawn: { length: 1 } });
  });

  test('are none while a replica is behind', async () => {
    const target = tables(200, 5);
    target.replicationLagMs = 10_001;
    expect(await runTick(target)).toEqual({ outcome: 'braked', passed: [], drawn: [] });
  });

  test('end when the sampler is stopped', async () => {
    const stopping = new AbortController();
    const ended = await runTick(
      tables(200, 5, { partitions: 4 }),
      {},
      () => stopping.abort(),
      stopping.signal,
    );
    expect(ended).toMatchObject({ outcome: 'stopped', drawn: { length: 1 } });
  });

  test('tell of a partition that became empty', async () => {
    const target = tables(10, 0);
    await runTick(target);
    expect(estimateStore([target.partitions[0]!.sample!]).live.rows).toBe(100);
    const empty = new SyntheticTarget({ random: seededRandom(1) });
    const { drawn } = await runTick(empty);
    expect(drawn).toEqual([]);
    const estimates = estimateStore([empty.partitions[0]!.sample!, target.partitions[0]!.sample!]);
    expect(estimates.live).toMatchObject({ rows: 100, low: 100, high: 100 });
  });
});

describe('the pass', () => {
  const hourMs = 3_600_000;
  const settings = { backstopMs: 2 * hourMs };

  test('goes evenly over the pages in half of the bound, and begins again', async () => {
    const target = tables(320, 0, { batchMs: 0 });
    const start = target.nowTime;
    const seen: number[] = [];
    for (let minute = 1; minute <= 61; minute += 1) {
      target.advance(hourMs / 60);
      const { passed } = await runTick(target, settings);
      seen.push(...passed.flatMap(({ pages }) => pages));
      // In whole batches: never ahead, and less than one behind.
      const due = (320 * minute) / 60;
      if (minute < 60) expect(Math.abs(due - 16 - seen.length)).toBeLessThanOrEqual(16);
    }
    expect(seen).toEqual(Array.from({ length: 320 }, (_, page) => page));
    expect(target.partitions[0]?.pass).toEqual({ startTime: start + hourMs, nextPage: 0 });
  });

  test('of an empty table begins again when its time is over, and costs nothing before', async () => {
    const target = new SyntheticTarget({ random: seededRandom(1) });
    target.advance(hourMs / 2);
    expect((await runTick(target, settings)).passed).toEqual([]);
    target.advance(hourMs / 2 + 1);
    expect((await runTick(target, settings)).passed).toMatchObject([{ pages: [], pass: { toPage: 0 } }]);
    expect((await runTick(target, settings)).passed).toEqual([]);
  });

  test('of a table that became shorter than where it is ends in time', async () => {
    const target = tables(10, 0);
    const partition = target.partitions[0]!;
    partition.pass.nextPage = 64;
    target.advance(hourMs / 2);
    expect((await runTick(target, settings)).passed).toEqual([]);
    target.advance(hourMs / 2 + 1);
    expect((await runTick(target, settings)).passed).toMatchObject([
      { pages: [], pass: { fromPage: 64, toPage: 0 } },
    ]);
    expect(partition.pass.nextPage).toBe(0);
  });

  test('catches up with a table that grew', async () => {
    const target = tables(100, 0);
    target.advance(hourMs * 0.9);
    const { passed } = await runTick(target, settings);
    expect(passed.flatMap(({ pages }) => pages)).toHaveLength(64);
  });

  test('goes through all it missed while no sampler ran', async () => {
    const target = tables(100, 0);
    target.advance(1000 * hourMs);
    const { passed } = await runTick(target, settings);
    expect(passed.flatMap(({ pages }) => pages)).toEqual(Array.from({ length: 100 }, (_, page) => page));
    expect(target.partitions[0]?.pass.startTime).toBeGreaterThan(target.nowTime - 1000);
  });

  test.each([
    ['a replica that is behind', { maxReplicationLagMs: 0 }],
    ['spent rows', { rowBudget: 0 }],
    ['slow batches', { maxLatencyMs: 1 }],
  ])('that is in time is held up by %s, one that is late is not', async (_, held) => {
    const target = tables(320, 1);
    target.replicationLagMs = 1;
    target.advance(hourMs * 0.9);
    const batches = (await runTick(target, { ...settings, ...held })).passed.length;
    expect(batches).toBeLessThanOrEqual(1);
    target.advance(hourMs * 0.2);
    expect((await runTick(target, { ...settings, ...held })).passed).toHaveLength(10 - batches);
  });

  test('that is late takes no more than twice the time of a tick, and goes on in the next', async () => {
    const target = tables(1000, 0, { batchMs: 20 });
    target.advance(2 * hourMs);
    const late = { ...settings, timeBudgetMs: 100 };
    const passed = [];
    for (let i = 0; i < 3; i += 1) passed.push((await runTick(target, late)).passed.length);
    expect(passed).toEqual([10, 10, 10]);
    expect(target.partitions[0]?.pass.nextPage).toBe(960);
  });

  test('is left to another process that moved it, or is at the partition', async () => {
    const moved = tables(320, 0);
    moved.advance(hourMs / 2);
    const pass = moved.partitions[0]!.pass;
    const { passed } = await runTick(moved, settings, () => (pass.nextPage = 160));
    expect(passed).toHaveLength(2);
    expect(pass.nextPage).toBe(160);
    const busy = tables(320, 0);
    busy.busy.add('p0');
    busy.advance(hourMs / 2);
    expect((await runTick(busy, settings)).passed).toHaveLength(1);
    expect(busy.partitions[0]?.pass.nextPage).toBe(0);
  });

  test('is no part of the sample', async () => {
    const target = tables(100, 2);
    target.advance(hourMs / 2);
    const { passed } = await runTick(target, { ...settings, threshold: 1 });
    expect(passed).toHaveLength(1);
    expect(target.partitions[0]?.sample).toMatchObject({ drawnPages: 32, visitedPages: 32 });
  });
});

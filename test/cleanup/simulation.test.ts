import { describe, expect, test } from 'vitest';
import { seededRandom } from '../support/seeded-random.js';
import { simulate, type Simulation } from './simulation.js';
import { defaultSettings } from './synthetic-target.js';
import { loadOf, meanLifetimeMs, survival } from './theory.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const intervalMs = 10_000;
const { batchPages } = defaultSettings;

/** Rows a second that are so much of what one batch looks at. */
function arrivalsOf(load: number, pageRows = 30): number {
  return (load * batchPages * pageRows * 1000) / intervalMs;
}

describe('one batch a tick, every page alike', () => {
  const arrivals = arrivalsOf(0.05);
  const pageCount = 607;
  const uniform: Simulation = {
    placement: 'scattered',
    slots: 80,
    pageCount,
    arrivals,
    retentionMs: hourMs,
    random: seededRandom(1),
    warmUpMs: 3 * hourMs,
    durationMs: 10 * hourMs,
  };

  test('rows stay as long as derived, and as many of them as derived', async () => {
    let rows = 0;
    const after = [0, 50, 100].map((ticks) => ({ ticks, rows: 0 }));
    const simulated = await simulate({
      ...uniform,
      onRemoved: (lifetimeMs) => {
        rows += 1;
        for (const each of after) each.rows += lifetimeMs > each.ticks * intervalMs ? 1 : 0;
      },
    });
    expect(simulated.batches).toBe(1);
    const lifetimeMs = meanLifetimeMs(pageCount, batchPages, intervalMs);
    expect(simulated.lifetimeMs / lifetimeMs).toBeCloseTo(1, 1.5);
    // Little's law.
    expect(simulated.overhang / ((arrivals * simulated.lifetimeMs) / 1000)).toBeCloseTo(1, 1.5);
    // What comes goes: one batch finds as many expired rows as came since the last.
    const pageRows = simulated.live / (1 - simulated.shareAtTick) / pageCount;
    expect(simulated.shareAtTick / loadOf(arrivals, intervalMs, batchPages, pageRows)).toBeCloseTo(1, 1.5);
    for (const each of after) {
      expect(each.rows / rows / survival(pageCount, batchPages, each.ticks)).toBeCloseTo(1, 1);
    }
  });

  test('dice that leave out half of the pages are found out', async () => {
    const random = seededRandom(1);
    const simulated = await simulate({ ...uniform, random, dice: () => random() / 2 });
    const lifetimeMs = meanLifetimeMs(pageCount, simulated.pagesPerTick, intervalMs);
    expect(simulated.lifetimeMs).toBeGreaterThan(1.2 * lifetimeMs);
    expect(simulated.ofBound).toBeGreaterThan(1);
  });
});

describe('the overhang stays within its bound', () => {
  test.each([
    { load: 0.1, retentionMs: minuteMs },
    { load: 0.3, retentionMs: minuteMs },
    { load: 2, retentionMs: minuteMs, vacuumMs: minuteMs },
    { load: 0.05, retentionMs: hourMs },
    { load: 0.05, retentionMs: hourMs, partitions: 4 },
    { load: 0.3, retentionMs: hourMs / 2, vacuumMs: minuteMs },
    { load: 1, retentionMs: hourMs / 4 },
    { load: 1, retentionMs: hourMs / 4, placement: 'scattered' as const, slots: 60 },
  ])('at %o', async ({ load, ...options }) => {
    const { ofBound, maxOfBound, overhang, lifetimeMs } = await simulate({
      ...options,
      arrivals: arrivalsOf(load),
      random: seededRandom(2),
      warmUpMs: 3 * options.retentionMs,
      durationMs: 8 * options.retentionMs,
    });
    expect(ofBound).toBeLessThanOrEqual(1);
    expect(maxOfBound).toBeLessThanOrEqual(1);
    const partitions = options.partitions ?? 1;
    expect(overhang / ((partitions * arrivalsOf(load) * lifetimeMs) / 1000)).toBeCloseTo(1, 1);
  });
});

describe('dice that always say the same', () => {
  const rigged: Simulation = {
    arrivals: arrivalsOf(0.2),
    retentionMs: 10 * minuteMs,
    random: seededRandom(3),
    dice: () => 0,
    settings: { backstopMs: hourMs },
    warmUpMs: hourMs,
    durationMs: 6 * hourMs,
  };

  test('leave rows no longer than the bound of the pass', async () => {
    const { maxLifetimeMs } = await simulate(rigged);
    expect(maxLifetimeMs).toBeLessThanOrEqual(hourMs);
    // The pass takes half of it, and it was the pass that met them.
    expect(maxLifetimeMs).toBeGreaterThan(hourMs / 3);
  });

  test('leave rows for ever without a pass', async () => {
    const { overhang, live } = await simulate({ ...rigged, settings: { backstopMs: Infinity } });
    expect(overhang).toBeGreaterThan(live);
  });
});

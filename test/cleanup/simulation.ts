import { tick, type TickSettings } from '../../src/cleanup/tick.js';
import { defaultSettings, SyntheticTarget, type SyntheticOptions } from './synthetic-target.js';
import { overhangBound, unluckyThreshold } from './theory.js';

export interface Simulation extends SyntheticOptions {
  readonly settings?: Partial<TickSettings>;
  /** Between two ticks. Default 10 s. */
  readonly intervalMs?: number;
  /** Not measured. */
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Told after each tick. */
  readonly onTick?: (target: SyntheticTarget) => void;
}

/** Of all partitions together, after the warm-up. */
export interface Simulated {
  readonly ticks: number;
  /** Means as ticks begin. */
  readonly pageCount: number;
  readonly live: number;
  readonly shareAtTick: number;
  /** Expired rows still there: mean over time, and most. */
  readonly overhang: number;
  readonly maxOverhang: number;
  /** The mean by the bound of the mean, and the most that the overhang was of its bound of that moment. */
  readonly ofBound: number;
  readonly maxOfBound: number;
  /** From expiry to removal. */
  readonly lifetimeMs: number;
  readonly maxLifetimeMs: number;
  /** Random ones, a tick and partition; and pages in them. */
  readonly batches: number;
  readonly pagesPerTick: number;
}

/** Lets the real `tick` loose on tables in memory, at the times of a clock that only the simulation moves. */
export async function simulate(simulation: Simulation): Promise<Simulated> {
  const { intervalMs = 10_000, warmUpMs, durationMs, partitions = 1, arrivals = 0, onTick } = simulation;
  const settings = { ...defaultSettings, ...simulation.settings };
  const { threshold, batchPages } = settings;
  const arrived = (arrivals * partitions * intervalMs) / 1000;
  const unlucky = unluckyThreshold(threshold, batchPages * partitions);
  const target = new SyntheticTarget(simulation);
  const surroundings = target.surroundings();
  const endTime = target.nowTime + warmUpMs + durationMs;
  const warmTime = target.nowTime + warmUpMs;
  const sums = { ticks: 0, pageCount: 0, live: 0, overhang: 0, share: 0, batches: 0, pages: 0 };
  const most = { overhang: 0, ofBound: 0 };
  let afterLast = 0;
  for (let tickTime = target.nowTime; tickTime < endTime; tickTime += intervalMs) {
    // A tick that takes longer than the interval lets the next one begin late.
    target.advance(Math.max(0, tickTime - target.nowTime));
    const warm = tickTime >= warmTime;
    if (!warm) Object.assign(target.lifetimes, { rows: 0, sumMs: 0, maxMs: 0 });
    const { live, expired } = target.total();
    const drawn = { batches: 0, pages: 0 };
    await tick(target, settings, surroundings, ({ pass, pages }) => {
      if (!warm || pass !== undefined) return;
      drawn.batches += 1;
      drawn.pages += pages.length;
    });
    if (warm) {
      sums.ticks += 1;
      sums.pageCount += target.partitions.reduce((sum, { table }) => sum + table.pageCount, 0);
      sums.live += live;
      sums.share += expired / (live + expired);
      // Rows expire steadily from tick to tick.
      sums.overhang += (afterLast + expired) / 2;
      sums.batches += drawn.batches;
      sums.pages += drawn.pages;
      most.overhang = Math.max(most.overhang, expired);
      most.ofBound = Math.max(most.ofBound, expired / overhangBound(live, arrived, unlucky));
      onTick?.(target);
    }
    afterLast = target.total().expired;
  }
  const mean = (sum: number) => sum / sums.ticks;
  const { rows, sumMs, maxMs } = target.lifetimes;
  return {
    ticks: sums.ticks,
    pageCount: mean(sums.pageCount),
    live: mean(sums.live),
    shareAtTick: mean(sums.share),
    overhang: mean(sums.overhang),
    maxOverhang: most.overhang,
    ofBound: mean(sums.overhang) / overhangBound(mean(sums.live), arrived, threshold),
    maxOfBound: most.ofBound,
    lifetimeMs: sumMs / rows,
    maxLifetimeMs: maxMs,
    batches: mean(sums.batches) / partitions,
    pagesPerTick: mean(sums.pages) / partitions,
  };
}

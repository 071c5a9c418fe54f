import { pageBatch } from '../core/page-batch.js';
import type { PageBatch, SweptPages, SweptPartition, SweepTarget } from '../core/sweep-target.js';
import { Budget, type BudgetLimits, type TickOutcome } from './budget.js';
import { pickByWeight, shuffled, type Random } from './pages.js';
import type { Surroundings } from './surroundings.js';
import { Visit, type Sweep } from './visit.js';

export interface TickSettings extends BudgetLimits {
  /** Pages of one batch. */
  readonly batchPages: number;
  /** Share of expired rows on the pages drawn from a partition above which the tick goes on there, 0 to 1. */
  readonly threshold: number;
  /** No expired row stays longer while the sampler runs, ms: half of it is what a pass over all pages takes. */
  readonly backstopMs: number;
}

/** Told of each batch; `swept` is undefined when another process was at the partition. */
export type OnBatch = (batch: PageBatch, swept: SweptPages | undefined, durationMs: number) => void;

/**
 * One tick: everywhere the pages that the pass has due and a few random ones; then, as long as the drawn pages of a
 * partition have more than the threshold of expired rows, more random ones there.
 */
export async function tick(
  target: SweepTarget,
  settings: TickSettings,
  surroundings: Surroundings,
  onBatch: OnBatch,
): Promise<TickOutcome> {
  const budget = new Budget(settings, surroundings);
  const sweep: Sweep = async (batch) => {
    const { swept, durationMs } = await budget.spend(() => target.sweepPages(batch));
    onBatch(batch, swept, durationMs);
    return swept;
  };
  budget.noteReplicationLag(await target.readReplicationLagMs());
  const visits: Visit[] = [];
  for (const partition of shuffled(await target.readPartitions(), surroundings.random)) {
    await advancePass(partition, settings, budget, sweep);
    if (!budget.allows()) continue;
    const visit = new Visit(partition, surroundings.random);
    await visit.sweep(settings.batchPages, sweep);
    visits.push(visit);
  }
  await goOn(visits, settings, surroundings.random, budget, sweep);
  await target.saveSamples(visits.map((visit) => visit.sample()).filter((sample) => sample !== undefined));
  return budget.outcome();
}

/** As Redis expires keys: where there was much to find, look again at once. */
async function goOn(
  visits: readonly Visit[],
  { threshold, batchPages }: TickSettings,
  random: Random,
  budget: Budget,
  sweep: Sweep,
): Promise<void> {
  for (;;) {
    const worthwhile = visits.filter(({ share, pagesLeft }) => share > threshold && pagesLeft > 0);
    if (worthwhile.length === 0 || !budget.allows()) return;
    const visit = pickByWeight(worthwhile, ({ share, pagesLeft }) => share * pagesLeft, random);
    await visit.sweep(batchPages, sweep);
  }
}

/**
 * Sweeps what the pass has due, in whole batches: it goes evenly over the table in half of the bound, so that a row that
 * expires right behind it is met by the next pass in time. Neither rows nor the brake hold up a pass that is late.
 */
async function advancePass(
  { name, pageCount, pass, nowTime }: SweptPartition,
  { backstopMs, batchPages }: TickSettings,
  budget: Budget,
  sweep: Sweep,
): Promise<void> {
  const elapsed = (nowTime - pass.startTime) / (backstopMs / 2);
  const late = elapsed > 1;
  const due = Math.min(pageCount, Math.ceil(pageCount * elapsed));
  for (let fromPage = pass.nextPage; budget.allows() || (late && budget.allowsOverdue());) {
    const ended = due >= pageCount && fromPage + batchPages >= pageCount;
    if (ended ? pageCount === 0 && !late : due < fromPage + batchPages) return;
    const toPage = Math.min(pageCount, fromPage + batchPages);
    const pages = pageBatch(fromPage, batchPages, pageCount);
    const swept = await sweep({ partition: name, pages, pass: { fromPage, toPage: ended ? 0 : toPage } });
    if (swept === undefined || ended) return;
    fromPage = toPage;
  }
}

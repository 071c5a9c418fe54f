import type { TickOutcome } from '../cleanup/budget.js';
import { realSurroundings } from '../cleanup/surroundings.js';
import { tick } from '../cleanup/tick.js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import type { ReceiptHandle } from './receipt-handle.js';
import { backstopIntervals, createReceiptTarget } from './receipt-target.js';

/** Durations are ms. */
export interface ReceiptSweepOptions {
  /**
   * Age at which a receipt is removed: 1 day, the longest lease there can be, to 10 years. Default 30 days. A receipt must outlive
   * everyone who may still execute its key: the namespace's lease and abandoned retention while its record is unfinished, the result
   * and tombstone retention after, and callers that retry later than that. After its receipt a key that comes again takes effect again.
   */
  readonly retentionMs?: number | undefined;
  /**
   * How often it is called; one call may fail, or come late by as much. An expired receipt stays at most 24 times as long.
   * 1 s to 1 day, default 1 h.
   */
  readonly everyMs?: number | undefined;
  /**
   * How long one call may work in the database, or twice that while it looks where it has to; it rests for four times as long as it
   * worked. 1 ms to 1 h, default 10 000.
   */
  readonly timeBudgetMs?: number | undefined;
  /** Its abort ends the call after the statement that is under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReceiptSweep {
  readonly removed: number;
  /**
   * `done`: there is not much more to find; `budget`: rows or time were spent; `braked`: a statement was slow, so that it looked only
   * where it had to; `stopped`: by the signal.
   */
  readonly outcome: TickOutcome;
}

/**
 * Removes receipts that are older than their retention, a few pages at a time, and rests in between: one tick, to be called again
 * and again, e.g. by a timer. `db` is a pool, or a client outside of a transaction. Any number of processes may do it at once. Fails
 * with what the handle throws; the next call does what was left.
 */
export async function sweepReceipts(
  db: ReceiptHandle,
  options: ReceiptSweepOptions = {},
): Promise<ReceiptSweep> {
  const { retentionMs = 30 * dayMs, everyMs = hourMs, timeBudgetMs = 10_000 } = options;
  const violations = new Violations();
  violations.range('retentionMs', retentionMs, limits.leaseMaxMs, limits.retentionMaxMs, ' ms');
  violations.range('everyMs', everyMs, 1000, dayMs, ' ms');
  violations.range('timeBudgetMs', timeBudgetMs, 1, hourMs, ' ms');
  violations.throwIfAny();
  const target = createReceiptTarget(db, { retentionMs, everyMs, batchPages });
  const settings = { ...tickSettings, batchPages, timeBudgetMs, backstopMs: backstopIntervals * everyMs };
  const signal = options.signal ?? new AbortController().signal;
  let removed = 0;
  const outcome = await tick(target, settings, realSurroundings(signal), (_, swept) => {
    for (const rows of swept?.removed.values() ?? []) removed += rows;
  });
  return { removed, outcome };
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Milliseconds of work, with some thousand receipts to remove. */
const batchPages = 32;
/** Of the latency, the wait for a connection of the pool is a part. */
const tickSettings = { threshold: 0.1, rowBudget: 50_000, maxLatencyMs: 250, maxReplicationLagMs: Infinity };

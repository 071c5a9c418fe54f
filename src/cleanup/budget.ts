import type { SweptPages } from '../core/sweep-target.js';
import type { Surroundings } from './surroundings.js';

/** What one tick may cost. */
export interface BudgetLimits {
  /** Time that its batches may take in the database, ms. */
  readonly timeBudgetMs: number;
  /** Rows it may remove and strip. */
  readonly rowBudget: number;
  /** A batch that takes longer says that the database is slow, ms. */
  readonly maxLatencyMs: number;
  /** A replica that is further behind says that there is too much to replicate, ms. */
  readonly maxReplicationLagMs: number;
}

/** How a tick ended. */
export type TickOutcome =
  /** Below the threshold everywhere. */
  | 'done'
  /** Rows or time were spent. */
  | 'budget'
  /** The database is slow, or a replica is behind. */
  | 'braked'
  | 'stopped';

/** After a batch the sampler rests so many times as long as it took: it never takes more than a fifth of one connection. */
const restRatio = 4;

/** Spends the time and the rows of one tick, and brakes. */
export class Budget {
  readonly #limits: BudgetLimits;
  readonly #surroundings: Surroundings;
  #spentMs = 0;
  #rows = 0;
  #braked = false;

  constructor(limits: BudgetLimits, surroundings: Surroundings) {
    this.#limits = limits;
    this.#surroundings = surroundings;
  }

  noteReplicationLag(lagMs: number | undefined): void {
    this.#braked ||= (lagMs ?? 0) > this.#limits.maxReplicationLagMs;
  }

  /** Whether another batch may be swept. */
  allows(): boolean {
    return this.outcome() === 'done';
  }

  /** Whether one of a pass that is late may be: neither rows nor the brake hold it up, and it gets as much time again. */
  allowsOverdue(): boolean {
    return !this.#surroundings.signal.aborted && this.#spentMs < 2 * this.#limits.timeBudgetMs;
  }

  outcome(): TickOutcome {
    if (this.#surroundings.signal.aborted) return 'stopped';
    if (this.#braked) return 'braked';
    const left = this.#spentMs < this.#limits.timeBudgetMs && this.#rows < this.#limits.rowBudget;
    return left ? 'done' : 'budget';
  }

  async spend(
    sweep: () => Promise<SweptPages | undefined>,
  ): Promise<{ readonly swept: SweptPages | undefined; readonly durationMs: number }> {
    const { clock, pause } = this.#surroundings;
    const startTime = clock();
    const swept = await sweep();
    const durationMs = clock() - startTime;
    this.#spentMs += durationMs;
    for (const counts of [swept?.removed, swept?.stripped]) {
      for (const rows of counts?.values() ?? []) this.#rows += rows;
    }
    this.#braked ||= durationMs > this.#limits.maxLatencyMs;
    // Who was stopped for an hour has measured that hour, and is not to rest for four.
    await pause(Math.min(durationMs, this.#limits.timeBudgetMs) * restRatio);
    return { swept, durationMs };
  }
}

import type { BeginResponse } from '../gen/onceward/v1/coordinator.js';
import { Histogram } from './histogram.js';

type Outcome = NonNullable<BeginResponse['outcome']>['$case'];

/** What a bench has measured so far. */
export class BenchTally {
  /** Begun and completed. */
  executed = 0;
  replayed = 0;
  /** Someone else held the lease. */
  inProgress = 0;
  /** How often, by reason. */
  readonly errors = new Map<string, number>();
  /** Due, and not begun when the time was over. */
  notBegun = 0;
  /** Of Begins that were answered. */
  readonly checkMs = new Histogram();
  /** Of Begin with Complete. */
  readonly cycleMs = new Histogram();
  #startTime: number | undefined;
  #endTime: number | undefined;

  start(): void {
    this.#startTime = performance.now();
  }

  end(): void {
    this.#endTime = performance.now();
  }

  /** An operation that was answered. Answers that give no result count as the errors that the SDK makes of them. */
  count(outcome: Outcome | undefined): void {
    if (outcome === 'execute') this.executed += 1;
    else if (outcome === 'replay') this.replayed += 1;
    else if (outcome === 'inProgress') this.inProgress += 1;
    else this.countError(outcome === 'indeterminate' ? 'INDETERMINATE' : 'RESULT_EXPIRED');
  }

  countError(reason: string): void {
    this.errors.set(reason, (this.errors.get(reason) ?? 0) + 1);
  }

  /** Operations that were answered, errors aside. */
  get operations(): number {
    return this.executed + this.replayed + this.inProgress;
  }

  get errorCount(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }

  get elapsedMs(): number {
    return this.#startTime === undefined ? 0 : (this.#endTime ?? performance.now()) - this.#startTime;
  }

  get operationsPerSecond(): number {
    return this.operations === 0 ? 0 : (this.operations / this.elapsedMs) * 1000;
  }
}

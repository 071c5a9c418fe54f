import { estimateStore } from '../core/estimate.js';
import type { SweepTarget } from '../core/sweep-target.js';
import type { Log } from '../telemetry/log.js';
import type { StoreView, SweepInstruments } from '../telemetry/sweep-instruments.js';
import type { TickOutcome } from './budget.js';
import { startSchedule } from './schedule.js';
import { realSurroundings } from './surroundings.js';
import { tick, type OnBatch, type TickSettings } from './tick.js';

export interface SamplerOptions {
  readonly target: SweepTarget;
  /** Cron expression. */
  readonly schedule: string;
  readonly settings: TickSettings;
  readonly instruments: SweepInstruments;
  readonly log: Log;
}

/**
 * Removes expired records, tick by tick. Of several coordinators one has each tick, whichever asks the database first; all
 * read what it found.
 */
export class Sampler {
  readonly #options: SamplerOptions;
  readonly #stopping = new AbortController();
  readonly #stopSchedule: () => void;
  readonly #intervalMs: number;
  #running: Promise<void> = Promise.resolve();
  #view: StoreView | undefined;
  #failing = false;

  constructor(options: SamplerOptions) {
    this.#options = options;
    options.instruments.exportStore(() => this.#view);
    const { intervalMs, stop } = startSchedule(options.schedule, () => this.run());
    this.#intervalMs = intervalMs;
    this.#stopSchedule = stop;
  }

  /** One tick now, unless one is under way or another coordinator has it. */
  run(): Promise<void> {
    this.#running = this.#run();
    return this.#running;
  }

  /** The batch under way is finished, nothing else is begun. */
  async stop(): Promise<void> {
    this.#stopSchedule();
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { target, instruments, log } = this.#options;
    try {
      const outcome = await this.#tick();
      instruments.addTick(outcome);
      this.#view = viewOf(await target.readPartitions());
      if (this.#failing) log.info('the sampler works again');
      this.#failing = false;
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      instruments.addTick('failed');
      // Once, until it works again: the database that is away is told of elsewhere.
      if (!this.#failing) log.warn({ err: error }, 'the sampler failed; it goes on at its next tick');
      this.#failing = true;
    }
  }

  async #tick(): Promise<TickOutcome | 'elsewhere'> {
    const { target, settings, instruments } = this.#options;
    // Half of the interval: ticks of one moment come within the jitter, and the next ones must not be refused.
    if (!(await target.claimTick(this.#intervalMs / 2))) return 'elsewhere';
    return tick(target, settings, realSurroundings(this.#stopping.signal), observedBy(instruments));
  }
}

function observedBy(instruments: SweepInstruments): OnBatch {
  return (batch, swept, durationMs) => {
    instruments.addBatch(swept === undefined ? 'busy' : 'done', durationMs);
    if (swept === undefined) return;
    instruments.addRows(swept.removed, swept.stripped);
    // The pass is no sample: it goes over the oldest pages or the newest.
    if (batch.pass === undefined) instruments.addSampled(swept.counts);
  };
}

function viewOf(partitions: Awaited<ReturnType<SweepTarget['readPartitions']>>): StoreView {
  const samples = partitions.map(({ sample }) => sample).filter((sample) => sample !== undefined);
  return {
    estimates: estimateStore(samples),
    totalBytes: partitions.reduce((sum, { totalBytes }) => sum + totalBytes, 0),
    passAgeMs: Math.max(0, ...partitions.map(({ pass, nowTime }) => nowTime - pass.startTime)),
  };
}

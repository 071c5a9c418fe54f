import type { PageCount, Sample } from './sample.js';

/**
 * The port of cleanup: tables whose rows expire, page by page. Times are the database's clock, ms since the epoch. Every
 * method may fail, and be called again.
 */
export interface SweepTarget {
  /** Takes the tick of the sampler for this process; false when another one has it, or had it less than `spacingMs` ago. */
  claimTick(spacingMs: number): Promise<boolean>;
  readPartitions(): Promise<readonly SweptPartition[]>;
  /** Atomic. Undefined: another process is at the partition, or its pass is not at `pass.fromPage`. */
  sweepPages(batch: PageBatch): Promise<SweptPages | undefined>;
  saveSamples(samples: readonly { readonly partition: string; readonly sample: Sample }[]): Promise<void>;
  /** Undefined where there is no replica, or it can't be seen. */
  readReplicationLagMs(): Promise<number | undefined>;
}

export interface SweptPartition {
  /** Name of the table. */
  readonly name: string;
  readonly pageCount: number;
  /** On disk, with indexes and TOAST. */
  readonly totalBytes: number;
  readonly pass: Pass;
  /** Of the last tick that came here. */
  readonly sample: Sample | undefined;
  readonly nowTime: number;
}

/** The backstop: page after page, from the first to the last, so that chance can't leave a row behind. */
export interface Pass {
  readonly startTime: number;
  /** Pages before this one were visited. */
  readonly nextPage: number;
}

/** Pages to look at: what is expired there is removed, and results that are expired are stripped. */
export interface PageBatch {
  readonly partition: string;
  readonly pages: readonly number[];
  /** Set when the pages are the next ones of the pass, which then goes on at `toPage`; 0 begins a new one. */
  readonly pass?: { readonly fromPage: number; readonly toPage: number };
  /** Only rows of this namespace are removed and stripped. Default: all. */
  readonly namespace?: string;
  /** Only looks. Default false. */
  readonly dryRun?: boolean;
}

export interface SweptPages {
  /** When. */
  readonly nowTime: number;
  /** What was on the pages, by page and namespace; pages without rows are not named. */
  readonly counts: readonly PageCount[];
  readonly removed: ReadonlyMap<string, number>;
  readonly stripped: ReadonlyMap<string, number>;
}

import type { Random } from '../../src/cleanup/pages.js';
import type { Surroundings } from '../../src/cleanup/surroundings.js';
import type { TickSettings } from '../../src/cleanup/tick.js';
import type { PageCount, Sample } from '../../src/core/sample.js';
import type { PageBatch, SweptPages, SweptPartition, SweepTarget } from '../../src/core/sweep-target.js';
import { SyntheticTable, type Counts, type Placement } from './synthetic-table.js';

export interface SyntheticOptions {
  /** Default 1. */
  readonly partitions?: number;
  /** Rows that a page has room for. Default 30. */
  readonly slots?: number;
  /** Pages there are from the start, of each partition. Default 0. */
  readonly pageCount?: number;
  /** Default `filling`. */
  readonly placement?: Placement;
  /** Rows a second, into each partition. Default 0. */
  readonly arrivals?: number;
  readonly retentionMs?: number;
  /** Whose the next row is. Default: of one namespace. */
  readonly namespaceOf?: (random: Random) => number;
  /** Between two vacuums; default 0: what is removed makes room at once. */
  readonly vacuumMs?: number;
  /** What a batch takes. Default 2. */
  readonly batchMs?: number;
  readonly random: Random;
  /** Of the sampler. Default: `random`. */
  readonly dice?: Random;
  /** Told of each row that is removed: how long after its expiry. */
  readonly onRemoved?: (lifetimeMs: number) => void;
}

/** What the program starts the sampler with. */
export const defaultSettings: TickSettings = {
  batchPages: 32,
  threshold: 0.1,
  backstopMs: 86_400_000,
  timeBudgetMs: 1000,
  rowBudget: 50_000,
  maxLatencyMs: 50,
  maxReplicationLagMs: 10_000,
};

interface Partition {
  readonly name: string;
  readonly table: SyntheticTable;
  pass: { startTime: number; nextPage: number };
  sample: Sample | undefined;
  /** Part of a row that is still to come. */
  coming: number;
}

/** Tables in memory with a clock of their own, as far as a tick asks for. Rows arrive steadily as time goes on. */
export class SyntheticTarget implements SweepTarget {
  readonly partitions: readonly Partition[];
  /** Of all rows that were removed: how long after their expiry. */
  readonly lifetimes = { rows: 0, sumMs: 0, maxMs: 0 };
  /** Partitions that another process is at. */
  readonly busy = new Set<string>();
  replicationLagMs: number | undefined;
  nowTime = 1_000_000_000_000;
  batchMs: number;
  readonly #options: SyntheticOptions;
  #vacuumTime = this.nowTime;

  constructor(options: SyntheticOptions) {
    const { partitions = 1, slots = 30, pageCount = 0, placement = 'filling', batchMs = 2, random } = options;
    this.#options = options;
    this.batchMs = batchMs;
    this.partitions = Array.from({ length: partitions }, (_, i) => ({
      name: `p${i}`,
      table: new SyntheticTable(slots, placement, random, pageCount),
      pass: { startTime: this.nowTime, nextPage: 0 },
      sample: undefined,
      coming: 0,
    }));
  }

  surroundings(signal: AbortSignal = new AbortController().signal): Surroundings {
    return {
      random: this.#options.dice ?? this.#options.random,
      clock: () => this.nowTime,
      pause: (ms) => {
        this.advance(ms);
        return Promise.resolve();
      },
      signal,
    };
  }

  advance(ms: number): void {
    const { arrivals = 0, retentionMs = 60_000, namespaceOf = () => 0, random, vacuumMs = 0 } = this.#options;
    for (const partition of this.partitions) {
      const rows = partition.coming + (arrivals * ms) / 1000;
      for (let i = 1; i <= rows; i += 1) {
        partition.table.insert(this.nowTime + (ms * i) / rows + retentionMs, namespaceOf(random));
      }
      partition.coming = rows % 1;
    }
    this.nowTime += ms;
    if (vacuumMs > 0 && this.nowTime < this.#vacuumTime + vacuumMs) return;
    this.#vacuumTime = this.nowTime;
    for (const { table } of this.partitions) table.vacuum();
  }

  /** Fast; see `SyntheticTable.total`. */
  total(): Counts {
    const total = { live: 0, expired: 0 };
    for (const { table } of this.partitions) add(total, table.total(this.nowTime));
    return total;
  }

  count(): Counts & { readonly byNamespace: ReadonlyMap<string, Counts> } {
    const total = { live: 0, expired: 0, byNamespace: new Map<string, Counts>() };
    for (const { table } of this.partitions) {
      const { all, byNamespace } = table.count(this.nowTime);
      add(total, all);
      for (const [namespace, counts] of byNamespace) {
        const sum = total.byNamespace.get(namespace) ?? { live: 0, expired: 0 };
        add(sum, counts);
        total.byNamespace.set(namespace, sum);
      }
    }
    return total;
  }

  claimTick(): Promise<boolean> {
    return Promise.resolve(true);
  }

  readPartitions(): Promise<readonly SweptPartition[]> {
    const { nowTime } = this;
    return Promise.resolve(
      this.partitions.map(({ name, table: { pageCount }, pass, sample }) => ({
        name,
        pageCount,
        totalBytes: pageCount * 8192,
        pass: { ...pass },
        sample,
        nowTime,
      })),
    );
  }

  sweepPages({ partition, pages, pass, sampleTime = Infinity }: PageBatch): Promise<SweptPages | undefined> {
    this.advance(this.batchMs);
    const at = this.partitions.find(({ name }) => name === partition)!;
    if (this.busy.has(partition) || (pass !== undefined && pass.fromPage !== at.pass.nextPage)) {
      return Promise.resolve(undefined);
    }
    if (pass !== undefined) {
      at.pass.nextPage = pass.toPage;
      if (pass.toPage === 0) at.pass.startTime = this.nowTime;
    }
    const counts: PageCount[] = [];
    const removed = new Map<string, number>();
    const removedOfSample = new Map<string, number>();
    for (const page of pages.filter((each) => each < at.table.pageCount)) {
      counts.push(...at.table.look(page, this.nowTime));
      at.table.remove(page, this.nowTime, (expireTime, namespace) => {
        removed.set(namespace, (removed.get(namespace) ?? 0) + 1);
        if (expireTime <= sampleTime)
          removedOfSample.set(namespace, (removedOfSample.get(namespace) ?? 0) + 1);
        const lifetimeMs = this.nowTime - expireTime;
        this.lifetimes.rows += 1;
        this.lifetimes.sumMs += lifetimeMs;
        this.lifetimes.maxMs = Math.max(this.lifetimes.maxMs, lifetimeMs);
        this.#options.onRemoved?.(lifetimeMs);
      });
    }
    return Promise.resolve({ nowTime: this.nowTime, counts, removed, removedOfSample, stripped: new Map() });
  }

  saveSamples(samples: readonly { readonly partition: string; readonly sample: Sample }[]): Promise<void> {
    for (const { partition, sample } of samples) {
      this.partitions.find(({ name }) => name === partition)!.sample = sample;
    }
    return Promise.resolve();
  }

  readReplicationLagMs(): Promise<number | undefined> {
    return Promise.resolve(this.replicationLagMs);
  }
}

function add(to: Counts, counts: Counts): void {
  to.live += counts.live;
  to.expired += counts.expired;
}

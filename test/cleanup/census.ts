import pg from 'pg';
import type { SweepTarget } from '../../src/core/sweep-target.js';
import type { Counts } from './synthetic-table.js';

export interface Counted {
  /** Expired rows that are there now. */
  readonly now: number;
  /** Of each partition as of when its random pages were first looked at; else as of now. */
  readonly all: Counts;
  readonly byNamespace: ReadonlyMap<string, Counts>;
  readonly byPartition: ReadonlyMap<string, Counts>;
}

/**
 * Counts all rows of a real store. A tick takes time, in which rows come and expire: so that estimates are compared with what
 * they are estimates of, it notes when a partition was sampled. Postgres is on this machine, and has its clock.
 */
export class Census {
  readonly target: SweepTarget;
  readonly #client: pg.Client;
  readonly #sampleTimes = new Map<string, number>();

  constructor(url: string, target: SweepTarget) {
    this.#client = new pg.Client(url);
    this.target = {
      ...target,
      sweepPages: (batch) => {
        const known = batch.pass !== undefined || this.#sampleTimes.has(batch.partition);
        if (!known) this.#sampleTimes.set(batch.partition, Date.now());
        return target.sweepPages(batch);
      },
    };
  }

  async start(): Promise<void> {
    await this.#client.connect();
  }

  async stop(): Promise<void> {
    await this.#client.end();
  }

  /** Forgets when partitions were sampled. */
  forget(): void {
    this.#sampleTimes.clear();
  }

  async count(): Promise<Counted> {
    const { rows } = await this.#client.query<Counts & { partition: string; namespace: string; now: number }>(
      `SELECT c.relname AS partition, r.namespace,
         count(*) FILTER (WHERE r.record_expire_time <= now())::int AS now,
         count(*) FILTER (WHERE r.record_expire_time <= sampled.time)::int AS expired,
         count(*) FILTER (WHERE r.record_expire_time > sampled.time AND r.create_time <= sampled.time)::int AS live
       FROM onceward.record r
       JOIN pg_class c ON c.oid = r.tableoid
       LEFT JOIN unnest($1::text[], $2::float8[]) t (partition, ms) ON t.partition = c.relname
       CROSS JOIN LATERAL (SELECT coalesce(to_timestamp(t.ms / 1000), now()) AS time) sampled
       GROUP BY c.relname, r.namespace`,
      [[...this.#sampleTimes.keys()], [...this.#sampleTimes.values()]],
    );
    const counted = {
      now: 0,
      all: { live: 0, expired: 0 },
      byNamespace: new Map<string, Counts>(),
      byPartition: new Map<string, Counts>(),
    };
    for (const { partition, namespace, now, live, expired } of rows) {
      counted.now += now;
      add(counted.all, live, expired);
      add(of(counted.byNamespace, namespace), live, expired);
      add(of(counted.byPartition, partition), live, expired);
    }
    return counted;
  }
}

function of(counts: Map<string, Counts>, name: string): Counts {
  const known = counts.get(name) ?? { live: 0, expired: 0 };
  counts.set(name, known);
  return known;
}

function add(to: Counts, live: number, expired: number): void {
  to.live += live;
  to.expired += expired;
}

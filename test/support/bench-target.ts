import pg from 'pg';
import { expect } from 'vitest';
import type { Policy } from '../../src/gen/onceward/v1/admin.js';
import { startSetup } from './coordinator.js';
import { putNamespace } from './namespaces.js';
import { runInProcess, type ProgramRun } from './run-program.js';

/** What `onceward bench --json` prints. */
export interface BenchReport {
  readonly elapsedMs: number;
  readonly interrupted: boolean;
  readonly operations: number;
  readonly operationsPerSecond: number;
  readonly executed: number;
  readonly replayed: number;
  readonly inProgress: number;
  readonly notBegun: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly check: Latencies;
  readonly cycle: Latencies;
}

type Latencies = Readonly<Record<'p50Ms' | 'p90Ms' | 'p99Ms' | 'p999Ms' | 'maxMs', number>>;

/** What a bench stored. */
interface StoredRecord {
  readonly key: string;
  readonly state: string;
  readonly operation: string;
  readonly keptMs: number;
  readonly bytes: number;
}

export interface BenchTarget {
  readonly address: string;
  /** Declares a namespace that no bench has written to. */
  namespace(policy?: Partial<Policy>): Promise<string>;
  readonly run: (args: readonly string[], io?: { readonly isTTY?: boolean }) => Promise<ProgramRun>;
  /** Of a run that ends well. */
  readonly report: (...args: readonly string[]) => Promise<BenchReport>;
  records(namespace: string): Promise<readonly StoredRecord[]>;
  /** While `during` runs, no Begin and no Complete is answered. */
  stalled(during: () => Promise<unknown>): Promise<void>;
  stop(): Promise<void>;
}

/** A coordinator and its database, for `onceward bench` to be run against. */
export async function startBenchTarget(): Promise<BenchTarget> {
  const setup = await startSetup();
  const { database, coordinators } = setup;
  const [coordinator] = coordinators;
  if (coordinator === undefined) throw new Error('there is no coordinator');
  const { address } = coordinator;
  let namespaces = 0;
  const run: BenchTarget['run'] = (args, io) => runInProcess(['bench', '--address', address, ...args], io);
  return {
    address,
    namespace: async (policy) => {
      namespaces += 1;
      const { name } = await putNamespace(coordinator, `bench-${namespaces}`, policy);
      return name;
    },
    run,
    report: async (...args) => {
      const { code, stdout } = await run([...args, '--json']);
      expect(code).toBe(0);
      return JSON.parse(stdout) as BenchReport;
    },
    records: (namespace) =>
      database.query<StoredRecord & pg.QueryResultRow>(
        `SELECT key, state, operation, octet_length(result_payload) AS bytes,
           extract(epoch FROM result_expire_time - finish_time)::float8 * 1000 AS "keptMs"
         FROM onceward.record WHERE namespace = $1`,
        [namespace],
      ),
    stalled: async (during) => {
      const client = new pg.Client(database.url);
      await client.connect();
      try {
        await client.query('BEGIN');
        await client.query('LOCK TABLE onceward.record IN ACCESS EXCLUSIVE MODE');
        await during();
      } finally {
        await client.end();
      }
    },
    stop: () => setup.stop(),
  };
}

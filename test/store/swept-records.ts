import type { SweptPages, SweepTarget } from '../../src/core/sweep-target.js';
import { loadStatement, type PreparedQuery } from '../../src/store/statement.js';
import type { TestDatabase } from '../support/database.js';
import { validRecords, type Columns } from './valid-records.js';

/** Records that cleanup keeps, removes and strips, and how tests have it done. */

const past = "now() - interval '1 s'";
const longPast = "now() - interval '1 h'";
export const future = "now() + interval '1 h'";

export const keptRecords: Readonly<Record<string, Columns>> = {
  'in progress, leased': validRecords.IN_PROGRESS,
  'in progress, lapsed, not yet abandoned': { ...validRecords.IN_PROGRESS, lease_expire_time: past },
  'in progress under PARK, lapsed long ago': {
    ...validRecords.IN_PROGRESS,
    on_lapse: "'PARK'",
    lease_expire_time: longPast,
    record_expire_time: "'infinity'",
  },
  released: validRecords.RELEASED,
  indeterminate: validRecords.INDETERMINATE,
  completed: validRecords.COMPLETED,
  failed: validRecords.FAILED,
  'completed, for ever': {
    ...validRecords.COMPLETED,
    result_expire_time: "'infinity'",
    record_expire_time: "'infinity'",
  },
};
export const expiredRecords: Readonly<Record<string, Columns>> = {
  abandoned: { ...validRecords.IN_PROGRESS, lease_expire_time: longPast, record_expire_time: past },
  'released, abandoned': { ...validRecords.RELEASED, record_expire_time: past },
  completed: { ...validRecords.COMPLETED, result_expire_time: past, record_expire_time: past },
  'failed, its tombstone too': {
    ...validRecords.FAILED,
    result_expire_time: longPast,
    record_expire_time: past,
  },
};
export const dueRecord: Columns = {
  ...validRecords.COMPLETED,
  result_expire_time: past,
  record_expire_time: future,
};

export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** The statement itself, for all namespaces. */
export function sweepQuery(partition: string, pages: readonly number[]): PreparedQuery {
  const row = {
    partition,
    pages,
    pass_from: null,
    pass_to: null,
    namespace: null,
    dry_run: false,
    sample_time_ms: null,
  };
  return loadStatement('sweep-pages', partition).one(row);
}

/** Where a record is. */
export async function placeOf(
  database: TestDatabase,
  key: string,
): Promise<{ readonly partition: string; readonly page: number }> {
  const [row] = await database.query<{ partition: string; page: number }>(
    `SELECT c.relname AS partition, (r.ctid::text::point)[0]::int AS page
     FROM onceward.record r JOIN pg_class c ON c.oid = r.tableoid WHERE r.key = $1`,
    [key],
  );
  return row!;
}

export async function sweepPageOf(
  database: TestDatabase,
  target: SweepTarget,
  key: string,
): Promise<SweptPages> {
  const { partition, page } = await placeOf(database, key);
  return (await target.sweepPages({ partition, pages: [page] }))!;
}

/** Many expired records, as many that are not. */
export async function fillWithRecords(database: TestDatabase, count: number): Promise<void> {
  await database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       record_expire_time, operation, attempt_id)
     SELECT 'test', '', 'k' || n, 'RELEASED', 'RERUN', 1, n, now(),
       now() + CASE WHEN n % 2 = 0 THEN interval '1 h' ELSE interval '-1 s' END, 'charge', 'a'
     FROM generate_series(1, $1::int) n`,
    [count],
  );
}

import type { TestDatabase } from './database.js';

/** Moves a record's times on the database clock, so that no test waits for time to pass. */

/** For coordinators that go along: one that caches replays knows a record's times already, as nothing changes them. */
export const travelling = { replayCacheBytes: 0 } as const;

/** Lets the lease of a key lapse, a second ago. */
export async function lapse(database: TestDatabase, key: string): Promise<void> {
  await changed(
    database,
    `UPDATE onceward.record SET lease_expire_time = now() - interval '1 s'
     WHERE key = $1 AND state = 'IN_PROGRESS' RETURNING key`,
    key,
  );
}

/** Ends the retention of a key's result; its tombstone stays for an hour. */
export async function expireResult(database: TestDatabase, key: string): Promise<void> {
  await changed(
    database,
    `UPDATE onceward.record SET result_expire_time = now() - interval '1 s',
       record_expire_time = now() + interval '1 h'
     WHERE key = $1 AND result_expire_time IS NOT NULL RETURNING key`,
    key,
  );
}

/** Ends everything a record promises, as if its whole retention had passed. */
export async function expireRecord(database: TestDatabase, key: string): Promise<void> {
  await changed(
    database,
    `UPDATE onceward.record SET record_expire_time = now() - interval '1 s',
       result_expire_time = CASE WHEN result_expire_time IS NOT NULL THEN now() - interval '2 s' END,
       lease_expire_time = CASE WHEN lease_expire_time IS NOT NULL THEN now() - interval '2 s' END
     WHERE key = $1 RETURNING key`,
    key,
  );
}

async function changed(database: TestDatabase, text: string, key: string): Promise<void> {
  const rows = await database.query(text, [key]);
  if (rows.length !== 1) throw new Error(`no such record to change: ${key}`);
}

import { onTestFinished } from 'vitest';
import { installSweepLog } from '../cleanup/sweep-log.js';
import { createDatabase, type TestDatabase } from './database.js';
import { until } from './until.js';

/** A database with records to sweep, and a log of what is swept. */
export interface SweptDatabase extends TestDatabase {
  add(rows: SweptRows): Promise<void>;
  /** How long every batch takes from now on, beside its work, ms. */
  slow(ms: number): Promise<void>;
  /** Until a batch is under way that was slowed. */
  untilBatch(): Promise<void>;
  /** Expired records and results that are still there. */
  due(): Promise<number>;
  untilSwept(): Promise<void>;
}

export interface SweptRows {
  readonly expired: number;
  /** With a tombstone to come, and an expired result. */
  readonly strippable: number;
  readonly live: number;
}

export async function createSweptDatabase(rows: SweptRows): Promise<SweptDatabase> {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  await installSweepLog(database);
  await database.query(slowing);
  const add = async ({ expired, strippable, live }: SweptRows) => {
    await insertRows(database, expired, "'-1 h'", "'-1 h'");
    await insertRows(database, strippable, "'-1 h'", "'1 h'");
    await insertRows(database, live, "'1 h'", "'1 h'");
  };
  await database.query(declaring);
  await add(rows);
  const due = async () => {
    const [row] = await database.query<{ due: number }>(
      `SELECT count(*)::int AS due FROM onceward.record
       WHERE record_expire_time <= now() OR (result_expire_time <= now() AND result_envelope IS NOT NULL)`,
    );
    return row?.due ?? NaN;
  };
  return {
    ...database,
    add,
    slow: async (ms) => {
      await database.query('UPDATE slowing SET ms = $1', [ms]);
    },
    untilBatch: async () => {
      await until('a batch is under way', async () => {
        const sleeping = await database.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`,
        );
        return sleeping.length > 0;
      });
    },
    due,
    untilSwept: async () => {
      await until('all is swept', async () => (await due()) === 0, 60_000);
    },
  };
}

async function insertRows(
  database: TestDatabase,
  count: number,
  resultEnds: string,
  recordEnds: string,
): Promise<void> {
  await database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       finish_time, result_expire_time, record_expire_time, operation, result_code, result_digest, result_envelope,
       result_payload)
     SELECT 'test', '', gen_random_uuid()::text, 'COMPLETED', 'RERUN', 1, 1, now() - interval '1 d',
       now() - interval '1 d', now() + interval ${resultEnds}, now() + interval ${recordEnds}, 'charge', 0,
       '0123456789abcdef', 'e', convert_to(repeat('paid ', 100), 'UTF8')
     FROM generate_series(1, $1::int)`,
    [count],
  );
}

const declaring = `
INSERT INTO onceward.namespace (name, on_lapse, default_lease_ms, max_lease_ms, result_retention_ms,
  max_result_retention_ms, tombstone_retention_ms, abandoned_retention_ms, max_result_bytes, refuse_old_keys, mint_secret)
VALUES ('test', 'RERUN', 1000, 1000, 1000, 1000, 0, 60000, 1000, false, decode(repeat('00', 32), 'hex'));
`;

/** Triggers of statements are those of the table that is named, here the partition. */
const slowing = `
CREATE TABLE slowing (ms int NOT NULL);
INSERT INTO slowing VALUES (0);
CREATE FUNCTION slow_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_sleep(ms / 1000.0) FROM slowing WHERE ms > 0;
  RETURN NULL;
END
$$;
DO $$
DECLARE partition text;
BEGIN
  FOR partition IN SELECT p.partition FROM onceward.partition_sweep p LOOP
    EXECUTE format(
      'CREATE TRIGGER slow_batch AFTER DELETE ON onceward.%I FOR EACH STATEMENT EXECUTE FUNCTION slow_batch()', partition);
  END LOOP;
END
$$;
`;

import pg from 'pg';
import type { TestDatabase } from './database.js';
import { until } from './until.js';

/** A second connection with a transaction open: it holds up others until it is told to let go. */
export interface Holder {
  query(text: string, values?: unknown[]): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** Runs `work` with a holder, which is gone afterwards whatever happened. */
export async function withHolder<T>(url: string, work: (holder: Holder) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'test holder' });
  await client.connect();
  try {
    await client.query('BEGIN');
    return await work({
      query: async (text, values) => void (await client.query(text, values)),
      commit: async () => void (await client.query('COMMIT')),
      rollback: async () => void (await client.query('ROLLBACK')),
    });
  } finally {
    await client.end();
  }
}

/** Waits until so many connections of coordinators wait for a lock. */
export async function untilBlocked(database: TestDatabase, count: number): Promise<void> {
  await until(`${count} statements wait for a lock`, async () => {
    const rows = await database.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
         AND application_name LIKE 'onceward %'`,
    );
    return rows.length === count;
  });
}

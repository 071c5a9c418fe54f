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
    const query = async (text: string, values?: unknown[]) => {
      await client.query(text, values);
    };
    return await work({ query, commit: () => query('COMMIT'), rollback: () => query('ROLLBACK') });
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

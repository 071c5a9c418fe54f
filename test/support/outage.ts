import pg from 'pg';
import { inject } from 'vitest';
import type { TestDatabase } from './database.js';

/** Takes a test's database away for as long as `work` takes: connections are cut, and new ones refused. */
export async function withoutDatabase<T>(database: TestDatabase, work: () => Promise<T>): Promise<T> {
  const name = new URL(database.url).pathname.slice(1);
  // From another database of the server: one can't shut the door one stands in.
  const client = new pg.Client(inject('postgresUrl'));
  await client.connect();
  try {
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS false`);
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    return await work();
  } finally {
    await client.query(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS true`);
    await client.end();
  }
}

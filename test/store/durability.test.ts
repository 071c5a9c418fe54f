import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { DurabilityError } from '../../src/store/durability.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';
import { migrate } from '../../src/store/migrate.js';
import { openStore, type OpenStoreOptions } from '../../src/store/open-store.js';
import { createDatabase } from '../support/database.js';
import { storeOptions } from '../support/store.js';
import { until } from '../support/until.js';

/** A Postgres that would lose acknowledged results is refused at the start, by name and with what to do. */

let folder: string;
let postgres: EmbeddedPostgres;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-durability-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(folder, 0o711);
  postgres = await startEmbeddedPostgres({ dataFolder: join(folder, 'postgres') });
  await migrate(postgres.url);
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

async function run(url: string, ...statements: string[]): Promise<pg.QueryResult[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const results = [];
    for (const statement of statements) results.push(await client.query(statement));
    return results;
  } finally {
    await client.end();
  }
}

/** Changes a setting of the whole server for one test. */
async function set(name: string, value: string): Promise<void> {
  await run(postgres.url, `ALTER SYSTEM SET ${name} = '${value}'`, 'SELECT pg_reload_conf()');
  onTestFinished(async () => {
    await run(postgres.url, `ALTER SYSTEM RESET ${name}`, 'SELECT pg_reload_conf()');
    await until(`${name} is reset`, async () => (await shown(name)) !== value);
  });
  await until(`${name} is ${value}`, async () => (await shown(name)) === value);
}

async function shown(name: string): Promise<unknown> {
  const [result] = await run(postgres.url, `SELECT current_setting('${name}') AS value`);
  return (result?.rows[0] as { readonly value: unknown }).value;
}

/** Opens and closes; the warnings. */
async function warningsOf(url: string, options: Partial<OpenStoreOptions> = {}): Promise<readonly string[]> {
  const opened = await openStore({ ...storeOptions(url), ...options });
  await opened.close();
  return opened.facts.warnings;
}

test('a durable Postgres is accepted, with its version', async () => {
  const opened = await openStore(storeOptions(postgres.url));
  expect(opened.facts.postgresVersion).toBe(postgres.version);
  await opened.close();
});

test.each(['fsync', 'full_page_writes'])('%s = off is refused, also when relaxed', async (name) => {
  await set(name, 'off');
  const text = `Postgres runs with ${name} = off: a crash would lose results; set it on`;
  await expect(warningsOf(postgres.url)).rejects.toThrow(new DurabilityError(text));
  await expect(warningsOf(postgres.url, { relaxedDurability: true })).rejects.toThrow(text);
});

test.each(['off', 'local'])('synchronous_commit = %s is refused unless relaxed', async (value) => {
  await set('synchronous_commit', value);
  await expect(warningsOf(postgres.url)).rejects.toThrow(
    new DurabilityError(
      `Postgres runs with synchronous_commit = ${value}: acknowledged results could be lost; set it on, or accept ` +
        'the loss with ONCEWARD_RELAXED_DURABILITY=true',
    ),
  );
  expect(await warningsOf(postgres.url, { relaxedDurability: true })).toContain(
    `synchronous_commit is ${value}: the last acknowledged results can be lost in a crash`,
  );
});

test.each(['remote_write', 'remote_apply'])('synchronous_commit = %s is accepted', async (value) => {
  await set('synchronous_commit', value);
  expect(await warningsOf(postgres.url)).not.toContainEqual(expect.stringContaining('synchronous_commit'));
});

test('a setting of the database alone counts too', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const name = new URL(database.url).pathname.slice(1);
  await database.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
  await expect(warningsOf(database.url)).rejects.toThrow('synchronous_commit = off');
});

test('default_transaction_read_only is refused, also when relaxed', async () => {
  await set('default_transaction_read_only', 'on');
  const text = 'Postgres is read-only (a standby, or default_transaction_read_only): use the primary';
  await expect(warningsOf(postgres.url)).rejects.toThrow(new DurabilityError(text));
  await expect(warningsOf(postgres.url, { relaxedDurability: true })).rejects.toThrow(text);
});

test('without a synchronous standby it warns, with one named it does not', async () => {
  const text = 'no synchronous standby: a failover can lose the last acknowledged results';
  expect(await warningsOf(postgres.url)).toContain(text);
  await set('synchronous_standby_names', 'standby');
  expect(await warningsOf(postgres.url)).not.toContain(text);
});

test('a refused database is left without connections', async () => {
  await set('fsync', 'off');
  await expect(warningsOf(postgres.url)).rejects.toThrow(DurabilityError);
  await until('all connections are gone', async () => {
    const [result] = await run(
      postgres.url,
      "SELECT FROM pg_stat_activity WHERE application_name LIKE 'onceward %'",
    );
    return result?.rowCount === 0;
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { migrate, migrationStatus, SchemaError } from '../../src/store/migrate.js';
import { openStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { withHolder } from '../support/holder.js';
import { storeOptions } from '../support/store.js';
import { until } from '../support/until.js';

async function emptyDatabase(): Promise<TestDatabase> {
  const database = await createDatabase({ migrated: false });
  onTestFinished(() => database.drop());
  return database;
}

async function partitionsOf(database: TestDatabase): Promise<number> {
  const rows = await database.query("SELECT FROM pg_inherits WHERE inhparent = 'onceward.record'::regclass");
  return rows.length;
}

/** "once", the number migrations lock on. */
const advisoryLock = 0x6f6e6365;

test('20 processes at once give one schema', { timeout: 120_000 }, async () => {
  const database = await emptyDatabase();
  // The lock is held until all 20 stand before it, so that they really meet, however slowly processes start.
  const ends = await withHolder(database.url, async (holder) => {
    await holder.query('SELECT pg_advisory_xact_lock($1)', [advisoryLock]);
    const processes = Array.from({ length: 8 }, () => migrateInProcess(database.url));
    const calls = Array.from({ length: 12 }, () => migrate(database.url));
    await until(
      '20 migrations wait for the lock',
      async () => {
        const waiting = await database.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'onceward migrate' AND wait_event = 'advisory'`,
        );
        return waiting.length === 20;
      },
      60_000,
    );
    await holder.commit();
    return { codes: await Promise.all(processes), statuses: await Promise.all(calls) };
  });
  expect(ends.codes).toEqual(Array.from({ length: 8 }, () => 0));
  for (const { schemaVersion, partitionCount, known } of ends.statuses) {
    expect({ schemaVersion, partitionCount }).toEqual({
      schemaVersion: known.at(-1)?.version,
      partitionCount: 16,
    });
  }
  const { known } = await migrationStatus(database.url);
  const applied = await database.query<{ version: number }>(
    'SELECT version FROM onceward.schema_migration ORDER BY version',
  );
  expect(applied.map(({ version }) => version)).toEqual(known.map(({ version }) => version));
  expect(await database.query('SELECT partition_count FROM onceward.store_instance')).toEqual([
    { partition_count: 16 },
  ]);
  expect(await partitionsOf(database)).toBe(16);
});

async function migrateInProcess(url: string): Promise<number> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', 'src/main.ts', 'migrate', 'up', '--database-url', url],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

test('a migration that fails half-way leaves nothing, and can be run again', async () => {
  const database = await emptyDatabase();
  // In the way of the last table that the migration makes.
  await database.query('CREATE SCHEMA onceward');
  await database.query('CREATE TABLE onceward.audit (n int)');
  await expect(migrate(database.url)).rejects.toThrow('already exists');
  expect(
    await database.query("SELECT FROM pg_class WHERE relnamespace = 'onceward'::regnamespace"),
  ).toHaveLength(1);
  await database.query('DROP TABLE onceward.audit');
  expect(await migrate(database.url)).toMatchObject({ partitionCount: 16 });
});

test.each([1, 4, 64])('the first migration makes %i partitions when asked for them', async (count) => {
  const database = await emptyDatabase();
  expect(await migrate(database.url, count)).toMatchObject({ partitionCount: count });
  expect(await partitionsOf(database)).toBe(count);
  // The same, or none, is what is there.
  expect(await migrate(database.url, count)).toMatchObject({ partitionCount: count });
  expect(await migrate(database.url)).toMatchObject({ partitionCount: count });
  expect(await partitionsOf(database)).toBe(count);
});

test('a store from before the sampler gets a row for each of its partitions', async () => {
  const database = await emptyDatabase();
  await migrate(database.url, 4);
  await database.query('DROP TABLE onceward.sampler, onceward.partition_sweep');
  await database.query(
    'DROP FUNCTION onceward.obeys_rules, onceward.broken_rule, onceward.keep_namespace CASCADE',
  );
  await database.query(
    'ALTER TABLE onceward.record ADD CONSTRAINT record_namespace_fkey FOREIGN KEY (namespace) REFERENCES onceward.namespace',
  );
  await database.query('DELETE FROM onceward.schema_migration WHERE version >= 2');
  await migrate(database.url);
  const rows = await database.query<{ partition: string }>(
    'SELECT partition FROM onceward.partition_sweep ORDER BY partition',
  );
  expect(rows.map(({ partition }) => partition)).toEqual([0, 1, 2, 3].map((i) => `record_000${i}`));
});

test('another partition count is refused later, with both counts and what to do', async () => {
  const database = await emptyDatabase();
  await migrate(database.url, 4);
  const text =
    'the key store has 4 partitions and 8 are configured: the count is chosen at the first migration and cannot ' +
    'change; configure the one it has, or none';
  await expect(migrate(database.url, 8)).rejects.toThrow(new SchemaError(text));
  const options = storeOptions(database.url);
  await expect(openStore({ ...options, partitionCount: 8 })).rejects.toThrow(text);
  await expect(openStore({ ...options, partitionCount: 8, migrate: true })).rejects.toThrow(text);
  expect(await partitionsOf(database)).toBe(4);
});

test('a schema newer than the program is refused, whether it would migrate or not', async () => {
  const database = await emptyDatabase();
  const { schemaVersion } = await migrate(database.url);
  await database.query(
    "INSERT INTO onceward.schema_migration (version, name) VALUES (999, '0999-later.sql')",
  );
  const text = `the schema is at version 999, newer than this program's ${schemaVersion}: run a newer program`;
  await expect(migrate(database.url)).rejects.toThrow(new SchemaError(text));
  await expect(openStore(storeOptions(database.url))).rejects.toThrow(text);
});

test('an empty database is refused without leave to migrate, and left alone', async () => {
  const database = await emptyDatabase();
  await expect(openStore(storeOptions(database.url))).rejects.toThrow(
    new SchemaError('the schema is at version 0, older than this program; run `onceward migrate up`'),
  );
  expect(await database.query("SELECT FROM pg_namespace WHERE nspname = 'onceward'")).toEqual([]);
});

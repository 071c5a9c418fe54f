import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { migrate } from '../../src/store/migrate.js';
import { execute, result, refOf } from '../support/calls.js';
import { startCoordinator } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { startScratchPostgres, type ScratchPostgres } from '../support/scratch-postgres.js';

/** deploy/roles.sql on a Postgres of its own, since roles are of the whole server. */
let server: ScratchPostgres;

beforeAll(async () => {
  server = await startScratchPostgres();
  // The embedded Postgres has made one.
  await query(urlOf(superuser(), 'postgres'), 'DROP DATABASE onceward');
  const [before = '', after = ''] = readFileSync('deploy/roles.sql', 'utf8').split('\\connect onceward\n');
  // One by one, as psql does: several in one message are a transaction, in which no database can be made.
  for (const statement of before.split(';\n').filter((text) => text.trim() !== ''))
    await query(urlOf(superuser(), 'postgres'), statement);
  await query(urlOf(superuser()), after);
});
afterAll(() => server.stop());

function superuser(): string {
  return new URL(server.url).username;
}

function urlOf(role: string, database = 'onceward'): string {
  const url = new URL(server.url);
  url.username = role;
  url.pathname = `/${database}`;
  return url.href;
}

async function query(url: string, text: string): Promise<readonly unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('the owner migrates, and the coordinators do all their work as the other role', async () => {
  await migrate(urlOf('onceward_owner'));
  const coordinator = await startCoordinator(urlOf('onceward_coordinator'), { migrate: false });
  onTestFinished(() => coordinator.stop());
  await putNamespace(coordinator, 'test');
  const { fencingToken } = await execute(coordinator, 'order-1');
  await coordinator.coordinator.complete({ ref: refOf('order-1'), fencingToken, result: result('charged') });
  const record = await coordinator.coordinator.lookup({ ref: refOf('order-1'), withResult: true });
  expect(record.result?.payload?.toString()).toBe('charged');
  expect((await coordinator.admin.listRecords({ namespace: 'test' })).records).toHaveLength(1);
  expect((await coordinator.admin.getStats({})).partitions).toHaveLength(16);
  await coordinator.admin.sweep({ namespace: 'test' });
  await coordinator.admin.forget({ ref: refOf('order-1'), reason: 'test' });
  expect((await coordinator.admin.listAudit({})).entries).toHaveLength(2);
});

test('they see what other sessions do, and so how far replicas are behind', async () => {
  const seen = `SELECT count(*)::int AS hidden FROM pg_stat_activity WHERE query = '<insufficient privilege>'`;
  expect(await query(urlOf('onceward_coordinator'), seen)).toEqual([{ hidden: 0 }]);
});

test.each([
  'DROP TABLE onceward.audit',
  'ALTER TABLE onceward.record ADD COLUMN x integer',
  'CREATE TABLE onceward.x (id integer)',
  'TRUNCATE onceward.record',
  `SELECT setval('onceward.fencing_token', 1)`,
  'CREATE SCHEMA x',
])('the coordinators may not: %s', async (statement) => {
  await expect(query(urlOf('onceward_coordinator'), statement)).rejects.toThrow(
    /permission denied|must be owner/,
  );
});

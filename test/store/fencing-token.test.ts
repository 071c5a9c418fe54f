import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';
import { migrate } from '../../src/store/migrate.js';
import { beginRequest, execute, expectOutcome, refOf } from '../support/calls.js';
import { startCoordinator, type TestCoordinator } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';

/** Tokens of one key only grow, whatever becomes of its record, its coordinator and its database. */

let folder: string;
let postgres: EmbeddedPostgres;
let one: TestCoordinator;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-tokens-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(folder, 0o711);
  postgres = await startEmbeddedPostgres({ dataFolder: join(folder, 'postgres') });
  await migrate(postgres.url);
  one = await startCoordinator(postgres.url);
  await putNamespace(one, 'test');
  await putNamespace(one, 'park', { onLapse: OnLapse.PARK });
});
afterAll(async () => {
  await one.stop();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

async function sql(text: string): Promise<void> {
  const client = new pg.Client(postgres.url);
  await client.connect();
  await client.query(text).finally(() => client.end());
}

const past = "now() - interval '1 s'";
const lapse = `UPDATE onceward.record SET lease_expire_time = ${past} WHERE state = 'IN_PROGRESS'`;

/** What is done to a record between two grants. */
const steps: Readonly<Record<string, (token: bigint) => Promise<unknown>>> = {
  'a takeover': () => sql(lapse),
  'a release': (fencingToken) =>
    one.coordinator.fail({
      ref: refOf('k'),
      fencingToken,
      kind: FailRequest_Kind.RETRYABLE,
      status: { code: 14, message: 'busy', details: Buffer.alloc(0) },
    }),
  'the expiry of its record': () =>
    sql(`UPDATE onceward.record SET lease_expire_time = ${past}, record_expire_time = ${past}`),
  'the removal of its row': () => sql('DELETE FROM onceward.record'),
  Forget: () => one.admin.forget({ ref: refOf('k'), reason: 'test', evenIfLeased: true }),
  'a restart of the coordinator': async () => {
    await one.stop();
    one = await startCoordinator(postgres.url);
    await sql(lapse);
  },
  'a restart of the database': async () => {
    await one.stop();
    await postgres.restart();
    one = await startCoordinator(postgres.url);
    await sql(lapse);
  },
  'a crash of the database, and the removal of its row': async () => {
    await one.stop();
    await postgres.restart('immediate');
    one = await startCoordinator(postgres.url);
    await sql('DELETE FROM onceward.record');
  },
};

test.each(Object.keys(steps))('a token grows across %s', async (step) => {
  // Whatever an earlier test left behind.
  await sql('DELETE FROM onceward.record');
  let last = (await execute(one, 'k')).fencingToken;
  for (let i = 0; i < 2; i += 1) {
    await steps[step]?.(last);
    const { fencingToken } = await execute(one, 'k');
    expect(fencingToken).toBeGreaterThan(last);
    last = fencingToken;
  }
});

test('a token grows across parking and Resolve, seen by Lookup at every step', async () => {
  const ref = refOf('k', 'park');
  const begin = () => one.coordinator.begin(beginRequest('k', { ref }));
  const shown = async () => (await one.coordinator.lookup({ ref })).fencingToken;
  const tokens = [expectOutcome(await begin(), 'execute').fencingToken];
  await sql(lapse);
  expectOutcome(await begin(), 'indeterminate');
  tokens.push(await shown());
  await one.admin.resolve({ ref, reason: 'test', decision: { $case: 'release', value: {} } });
  tokens.push(await shown());
  tokens.push(expectOutcome(await begin(), 'execute').fencingToken);
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
  expect(new Set(tokens).size).toBe(4);
});

import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readSweepLog } from '../cleanup/sweep-log.js';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { untilBlocked, withHolder } from '../support/holder.js';
import { putNamespace } from '../support/namespaces.js';
import { scrape, sumOf } from '../support/prometheus.js';
import { createSweptDatabase } from '../support/swept-database.js';
import { expireRecord, expireResult, travelling } from '../support/time-travel.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ flags: travelling });
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'other');
});
afterAll(() => setup.stop());

async function finished(key: string, namespace = 'test'): Promise<bigint> {
  const ref = refOf(key, namespace);
  const { fencingToken } = await execute(one, key, { ref });
  await one.coordinator.complete({ ref, fencingToken, result: result('done') });
  return fencingToken;
}

async function isStored(key: string): Promise<boolean> {
  return (await setup.database.query('SELECT FROM onceward.record WHERE key = $1', [key])).length > 0;
}

test('what is expired goes, results that are are stripped, and everything else stays', async () => {
  const token = await finished('removed');
  await finished('stripped');
  await finished('kept');
  await execute(one, 'leased');
  await expireRecord(setup.database, 'removed');
  await expireResult(setup.database, 'stripped');
  expect(await one.admin.sweep({ dryRun: true })).toMatchObject({ removed: 1n, stripped: 1n });
  expect(await isStored('removed')).toBe(true);

  const answer = await one.admin.sweep({});
  expect(answer).toMatchObject({ removed: 1n, stripped: 1n, nextPageToken: '' });
  expect(answer.sweptPages).toBe(answer.totalPages);
  expect(await isStored('removed')).toBe(false);
  expect(await one.admin.sweep({})).toMatchObject({ removed: 0n, stripped: 0n });

  expectOutcome(await one.coordinator.begin(beginRequest('stripped')), 'resultExpired');
  expectOutcome(await one.coordinator.begin(beginRequest('kept')), 'replay');
  expectOutcome(await one.coordinator.begin(beginRequest('leased')), 'inProgress');
  expect((await execute(one, 'removed')).fencingToken).toBeGreaterThan(token);
  const samples = await scrape(one);
  expect(sumOf(samples, 'onceward_sweep_removed_total', { onceward_namespace: 'test' })).toBe(1);
  expect(sumOf(samples, 'onceward_sweep_stripped_total', { onceward_namespace: 'test' })).toBe(1);
});

test('one namespace alone', async () => {
  await finished('mine');
  await finished('theirs', 'other');
  await expireRecord(setup.database, 'mine');
  await expireRecord(setup.database, 'theirs');
  expect(await one.admin.sweep({ namespace: 'other', dryRun: true })).toMatchObject({ removed: 1n });
  expect(await one.admin.sweep({ namespace: 'other' })).toMatchObject({ removed: 1n });
  expect([await isStored('mine'), await isStored('theirs')]).toEqual([true, false]);
  expect((await caught(one.admin.sweep({ namespace: 'nobody' }))).reason).toBe('NAMESPACE_NOT_FOUND');
});

test('a token goes on where it stands, and a bad one is refused', async () => {
  await finished('first-partition');
  const middle = Buffer.from(JSON.stringify(['record_0008', '0'])).toString('base64url');
  const all = await one.admin.sweep({});
  const rest = await one.admin.sweep({ pageToken: middle });
  expect(rest).toMatchObject({ nextPageToken: '', totalPages: all.totalPages, sweptPages: all.totalPages });
  const strange = [['record_9999', '0'], ['record_0000', '-1'], ['record_0000', 'x'], ['record_0000']];
  for (const position of strange) {
    const pageToken = Buffer.from(JSON.stringify(position)).toString('base64url');
    expect(await violatedFields(one.admin.sweep({ pageToken }))).toEqual(['page_token']);
  }
});

test('a record that somebody is at is left to them, and waited for by nobody', async () => {
  await finished('locked');
  await expireRecord(setup.database, 'locked');
  await withHolder(setup.database.url, async (holder) => {
    await holder.query("SELECT FROM onceward.record WHERE key = 'locked' FOR UPDATE");
    expect(await one.admin.sweep({})).toMatchObject({ removed: 0n });
  });
  await until('it is let go', async () => (await one.admin.sweep({})).removed === 1n);
});

test('a partition where another process sweeps is come back to', async () => {
  await withHolder(setup.database.url, async (holder) => {
    await holder.query('SELECT FROM onceward.partition_sweep FOR UPDATE');
    const answer = await one.admin.sweep({});
    expect(answer).toMatchObject({ removed: 0n, sweptPages: 0n });
    expect(answer.nextPageToken).not.toBe('');
    await untilBlocked(setup.database, 0);
  });
  expect((await one.admin.sweep({})).nextPageToken).toBe('');
});

test('a sweep that takes long goes on from call to call, and counts in each what it did', async () => {
  const database = await createSweptDatabase({ expired: 400, strippable: 80, live: 40 });
  const coordinator = await startCoordinator(database.url);
  onTestFinished(() => coordinator.stop());
  // A call works for a second: a few of the 16 partitions.
  await database.slow(200);
  const sum = { removed: 0n, stripped: 0n };
  const swept: bigint[] = [];
  let pageToken = '';
  do {
    const answer = await coordinator.admin.sweep({ pageToken });
    sum.removed += answer.removed;
    sum.stripped += answer.stripped;
    swept.push(answer.sweptPages);
    ({ nextPageToken: pageToken } = answer);
    expect(answer.sweptPages === answer.totalPages).toBe(pageToken === '');
  } while (pageToken !== '');
  expect(sum).toEqual({ removed: 400n, stripped: 80n });
  expect(swept.length).toBeGreaterThan(2);
  expect(swept).toEqual([...new Set(swept)].sort((a, b) => Number(a - b)));
  expect(await readSweepLog(database)).toMatchObject({ removed: 400, stripped: 80, violations: [] });
});

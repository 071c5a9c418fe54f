import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { birthTimeOf } from '../../src/core/key.js';
import { OnLapse, State } from '../../src/gen/onceward/v1/record.js';
import { execute, refOf, result } from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import { insertChildren } from '../support/children.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { expireRecord, expireResult, lapse } from '../support/time-travel.js';
import { millisecondsOf } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

const lookup = (key: string, more = {}) => one.coordinator.lookup({ ref: refOf(key), ...more });

describe('Lookup', () => {
  test('tells everything of an attempt under way', async () => {
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`;
    const labels = { tenant: 'acme', 'a.b-c_d': 'ü b' };
    const parent = refOf('root', 'elsewhere', 's');
    const { fencingToken } = await execute(one, 'looked-up', { traceparent, labels, parent });
    const record = await lookup('looked-up', { withResult: true });
    expect(record).toEqual({
      ref: refOf('looked-up'),
      state: State.IN_PROGRESS,
      operation: 'charge',
      attempt: 1,
      fencingToken,
      leaseLeft: record.leaseLeft,
      createTime: record.createTime,
      finishTime: undefined,
      expireTime: undefined,
      parent,
      children: [],
      labels,
      result: undefined,
      lastError: undefined,
      traceparent,
      recordExpireTime: record.recordExpireTime,
      childrenOmitted: false,
    });
    expect(millisecondsOf(record.leaseLeft)).toBeGreaterThan(0);
    // 30 s of lease and 7 days of abandoned retention.
    expect(Number(record.recordExpireTime) - Number(record.createTime)).toBe(30_000 + 7 * 86_400_000);
  });
  test('gives the result only when asked, and while it is kept', async () => {
    const { fencingToken } = await execute(one, 'with-result');
    const given = result('paid');
    const { expireTime } = await one.coordinator.complete({
      ref: refOf('with-result'),
      fencingToken,
      result: given,
    });
    expect((await lookup('with-result')).result).toBeUndefined();
    expect(await lookup('with-result', { withResult: true })).toMatchObject({
      state: State.COMPLETED,
      result: given,
      leaseLeft: undefined,
      expireTime,
      recordExpireTime: expireTime,
    });
    await expireResult(setup.database, 'with-result');
    const tombstone = await lookup('with-result', { withResult: true });
    expect(tombstone).toMatchObject({ state: State.COMPLETED, result: undefined });
    await expireRecord(setup.database, 'with-result');
    expect(await caught(lookup('with-result'))).toMatchObject({ code: 5, reason: 'RECORD_NOT_FOUND' });
  });
  test('changes nothing, also of a lapsed lease', async () => {
    await execute(one, 'untouched', { onLapse: OnLapse.PARK });
    await lapse(setup.database, 'untouched');
    const rows = () => setup.database.query(`SELECT * FROM onceward.record WHERE key = 'untouched'`);
    const before = await rows();
    expect(await lookup('untouched')).toMatchObject({
      state: State.INDETERMINATE,
      leaseLeft: undefined,
    });
    expect(await rows()).toEqual(before);
  });
  test('finds no key that nobody began, nor one of another scope', async () => {
    expect(await caught(lookup('nobody'))).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
    await execute(one, 'scoped', { ref: refOf('scoped', 'test', 'a') });
    expect(await caught(lookup('scoped'))).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
    await execute(one, 'scoped', { ref: refOf('scoped', 'test', 'b') });
  });
});

describe('lineage', () => {
  test('a record names its parent, and the parent its children, oldest first', async () => {
    const parent = refOf('order');
    await execute(one, 'order');
    for (const child of ['step-2', 'step-1']) await execute(one, child, { parent });
    await execute(one, 'grandchild', { parent: refOf('step-1') });
    await execute(one, 'of-another-scope', { parent: refOf('order', 'test', 'other') });
    const found = await lookup('order', { withLineage: true });
    expect(found.children.map((child) => child.ref?.key)).toEqual(['step-2', 'step-1']);
    expect(found.children[0]).toMatchObject({ parent, state: State.IN_PROGRESS });
    expect((await lookup('order')).children).toEqual([]);
    expect((await lookup('grandchild')).parent).toEqual(refOf('step-1'));
  });
  test('children are found in other namespaces and scopes', async () => {
    await putNamespace(one, 'payments');
    await putNamespace(one, 'shipping');
    const parent = refOf('cross', 'test', 'acme');
    await execute(one, 'cross', { ref: parent });
    const refs = [
      refOf('charge', 'payments', 'acme'),
      refOf('ship', 'shipping'),
      refOf('cross', 'test', 'other'),
    ];
    for (const ref of refs) await execute(one, ref.key, { ref, parent });
    // The same key called from elsewhere is not its child.
    await execute(one, 'stranger', { ref: refOf('stranger', 'payments'), parent: refOf('cross') });
    const { children, childrenOmitted } = await one.coordinator.lookup({ ref: parent, withLineage: true });
    expect(children.map(({ ref }) => ref)).toEqual(refs);
    expect(childrenOmitted).toBe(false);
  });
  test('an expired parent is not found, while its living children still name it', async () => {
    const parent = refOf('gone');
    await execute(one, 'gone');
    for (const key of ['lives', 'is-gone-too']) await execute(one, key, { parent });
    await execute(one, 'below', { parent: refOf('lives') });
    await expireRecord(setup.database, 'is-gone-too');
    expect((await lookup('gone', { withLineage: true })).children.map(({ ref }) => ref?.key)).toEqual([
      'lives',
    ]);
    await expireRecord(setup.database, 'gone');
    expect(await caught(lookup('gone', { withLineage: true }))).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
    expect(await lookup('lives', { withLineage: true })).toMatchObject({
      parent,
      children: [{ ref: refOf('below'), children: [] }],
    });
  });
  test('a thousand children are told, and that there are more', async () => {
    await execute(one, 'prolific');
    await insertChildren(setup.database, refOf('prolific'), 1, 1000);
    const whole = await lookup('prolific', { withLineage: true });
    expect(whole.children).toHaveLength(1000);
    expect(whole.childrenOmitted).toBe(false);
    await insertChildren(setup.database, refOf('prolific'), 1001, 1001);
    const cut = await lookup('prolific', { withLineage: true });
    expect(cut.children.map(({ ref }) => ref)).toEqual(whole.children.map(({ ref }) => ref));
    expect(cut.childrenOmitted).toBe(true);
    expect((await lookup('prolific')).childrenOmitted).toBe(false);
  });
  test('the parent and the labels are those of the first Begin', async () => {
    await execute(one, 'first-wins', { parent: refOf('p1'), labels: { a: '1' } });
    await lapse(setup.database, 'first-wins');
    await execute(one, 'first-wins', { parent: refOf('p2'), labels: { b: '2' } });
    expect(await lookup('first-wins')).toMatchObject({ parent: refOf('p1'), labels: { a: '1' }, attempt: 2 });
  });
});

describe('MintKey', () => {
  const mint = async (more = {}) => (await one.coordinator.mintKey({ namespace: 'test', ...more })).key;

  test("makes a UUIDv7 of the database's time, another each time", async () => {
    const [row] = await setup.database.query<{ now: number }>(
      'SELECT (extract(epoch FROM now()) * 1000)::float8 AS now',
    );
    const key = await mint({ scope: 'ignored' });
    expect(Math.abs((birthTimeOf(key) ?? 0) - (row?.now ?? 0))).toBeLessThan(5000);
    expect(await mint()).not.toBe(key);
    await execute(one, key);
  });
  test('makes one key of one client id, another in another scope or namespace, on every coordinator', async () => {
    const key = await mint({ scope: 'a', clientRequestId: 'id-1' });
    expect(await mint({ scope: 'a', clientRequestId: 'id-1' })).toBe(key);
    expect(await mint({ scope: 'b', clientRequestId: 'id-1' })).not.toBe(key);
    expect(await mint({ scope: 'a', clientRequestId: 'id-2' })).not.toBe(key);
    expect(await mint({ scope: 'a', clientRequestId: 'ü'.repeat(127) })).toMatch(/^h1\.[\w-]{43}$/);
    const put = () => putNamespace(one, 'other');
    await put();
    const foreign = await mint({ namespace: 'other', scope: 'a', clientRequestId: 'id-1' });
    expect(foreign).not.toBe(key);
    // A new policy is no new secret, and other coordinators have the same.
    await put();
    const two = await startCoordinator(setup.database.url);
    const request = { namespace: 'other', scope: 'a', clientRequestId: 'id-1' };
    expect((await two.coordinator.mintKey(request)).key).toBe(foreign);
    await two.stop();
  });
  test('refuses what could make two ids one, and what is out of bounds', async () => {
    expect(await violatedFields(mint({ clientRequestId: 'a\ufffd' }))).toEqual(['client_request_id']);
    expect(await violatedFields(mint({ clientRequestId: 'ü'.repeat(128) }))).toEqual(['client_request_id']);
    expect(await violatedFields(mint({ scope: 'a b', namespace: 'Test' }))).toEqual(['namespace', 'scope']);
    expect(await caught(mint({ namespace: 'nobodys' }))).toMatchObject({
      code: 5,
      reason: 'NAMESPACE_NOT_FOUND',
    });
  });
});

test('GetServerInfo tells what the server is', async () => {
  const [two] = [await startCoordinator(setup.database.url)];
  const info = await one.coordinator.getServerInfo({});
  const [row] = await setup.database.query<{ version: string; schema: number }>(
    `SELECT current_setting('server_version') AS version`,
  );
  expect(info).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
    instanceId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    startTime: expect.any(Date) as Date,
    postgresVersion: expect.stringContaining(row?.version.split(' ')[0] ?? '?') as string,
    partitionCount: 16,
    schemaVersion: expect.any(Number) as number,
    warnings: info.warnings,
  });
  // This Postgres has no standby.
  expect(info.warnings.join()).toMatch(/standby/);
  expect((await two.coordinator.getServerInfo({})).instanceId).not.toBe(info.instanceId);
  await two.stop();
});

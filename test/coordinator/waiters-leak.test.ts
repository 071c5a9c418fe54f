import { setMaxListeners } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Waiters } from '../../src/coordinator/waiters.js';
import { openStore, type OpenStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let opened: OpenStore;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openStore({
    url: database.url,
    partitionCount: undefined,
    migrate: false,
    relaxedDurability: false,
    statementTimeoutMs: 3000,
    connectTimeoutMs: 1500,
    onWarning: () => undefined,
  });
  await database.query(
    `INSERT INTO onceward.namespace SELECT 'test', 'RERUN', 1000, 1000, NULL, 1000, 1000, 0, 60000, 0, false,
       decode(repeat('00', 32), 'hex')`,
  );
  await database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       lease_expire_time, record_expire_time, operation, attempt_id)
     SELECT 'test', '', 'key-' || i, 'IN_PROGRESS', 'RERUN', 1, 1, now(), now() + interval '1 h',
       now() + interval '2 h', 'charge', 'a' FROM generate_series(0, 9) i`,
  );
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

test('waiters that leave, run out of time or are woken leave nothing behind', async () => {
  const waiters = new Waiters(opened.store);
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal);
  const wait = (i: number, untilMs: number, signal = new AbortController().signal) =>
    waiters.wait({
      ref: refOf(i),
      fencingToken: 1n,
      leaseLeftMs: 3_600_000,
      untilTime: performance.now() + untilMs,
      signal,
    });
  const left = Array.from({ length: 100 }, (_, i) => wait(i, 60_000, leaving.signal));
  const late = Array.from({ length: 100 }, (_, i) => wait(i, 50));
  expect(waiters.size).toBe(200);

  expect(await Promise.all(late)).toEqual(late.map(() => 'over'));
  expect(waiters.size).toBe(100);
  leaving.abort();
  expect(await Promise.all(left)).toEqual(left.map(() => 'over'));
  expect(waiters.size).toBe(0);

  const woken = Array.from({ length: 100 }, (_, i) => wait(i, 60_000));
  for (let i = 0; i < 10; i += 1) waiters.wake(refOf(i));
  expect(await Promise.all(woken)).toEqual(woken.map(() => 'woken'));
  expect(waiters.size).toBe(0);

  const closed = Array.from({ length: 100 }, (_, i) => wait(i, 60_000));
  waiters.close();
  expect(await Promise.all(closed)).toEqual(closed.map(() => 'over'));
  expect(await wait(0, 60_000)).toBe('over');
  expect(waiters.size).toBe(0);
});

test('a waiter that had left already, or whose time was over, never waits', async () => {
  const waiters = new Waiters(opened.store);
  const terms = { ref: refOf(0), fencingToken: 1n, leaseLeftMs: 1000 };
  expect(await waiters.wait({ ...terms, untilTime: Infinity, signal: AbortSignal.abort() })).toBe('over');
  const open = new AbortController().signal;
  expect(await waiters.wait({ ...terms, untilTime: performance.now(), signal: open })).toBe('over');
  expect(waiters.size).toBe(0);
});

test('a waiter for an attempt that is over already is woken at once', async () => {
  const waiters = new Waiters(opened.store);
  const superseded = waiters.wait({
    ref: refOf(0),
    fencingToken: 7n,
    leaseLeftMs: 3_600_000,
    untilTime: performance.now() + 60_000,
    signal: new AbortController().signal,
  });
  expect(await superseded).toBe('woken');
  await until('nothing is left', () => waiters.size === 0);
});

function refOf(i: number) {
  return { namespace: 'test', scope: '', key: `key-${i % 10}` };
}

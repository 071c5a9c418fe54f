import { setMaxListeners } from 'node:events';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BeginRequest,
  CoordinatorClient,
  FailRequest_Kind,
  type BeginResponse,
  type SessionResponse,
} from '../../src/gen/onceward/v1/coordinator.js';
import { durationOf } from '../../src/rpc/duration.js';
import { poolSizes } from '../../src/store/postgres-store.js';
import { beginRequest, counterOf, execute, expectOutcome, refOf, result } from '../support/calls.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

/** Waiters look by themselves so often; an answer well below it was brought by a signal. */
const pollMs = 1000;
const longWait = { wait: durationOf(25_000), lease: durationOf(60_000) };
let setup: TestSetup;
let one: TestCoordinator;
let other: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, other] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

test.each([
  ['the same process', () => one],
  ['another process', () => other],
])('a waiter is answered by a signal when Complete lands on %s', async (_, finisher) => {
  const latencies: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    const key = `signal-${finisher().address}-${round}`;
    const { fencingToken } = await execute(one, key);
    const [waiting] = await startWaiters(key, [one]);
    await untilWatched(key);
    const startTime = performance.now();
    await finisher().coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
    const replay = expectOutcome((await waiting?.answer) as BeginResponse, 'replay');
    latencies.push(performance.now() - startTime);
    expect(replay.result).toEqual(result('done'));
  }
  expect(latencies.sort((a, b) => a - b)[4]).toBeLessThan(pollMs / 3);
});

describe('of 50 waiters on two processes exactly one is granted, the others keep waiting', () => {
  test.each(['Fail RETRYABLE', 'a lapse'])('on %s', async (how) => {
    const key = `one-of-50-${how}`.replaceAll(' ', '-');
    const ref = refOf(key);
    const { fencingToken } = await execute(one, key, { lease: durationOf(60_000) });
    const waiters = await startWaiters(key, spread(50));
    if (how === 'a lapse') await lapse(setup.database, key);
    else {
      const status = { code: 14, message: 'bank unreachable', details: Buffer.alloc(0) };
      await one.coordinator.fail({ ref, fencingToken, kind: FailRequest_Kind.RETRYABLE, status });
    }
    const granted = expectOutcome(await Promise.race(waiters.map(({ answer }) => answer)), 'execute');
    expect(granted).toMatchObject({ attempt: 2, takeover: how === 'a lapse' });
    // Long enough for every waiter to have looked again by itself.
    const grantTime = performance.now();
    await until('everybody has looked', () => performance.now() - grantTime > pollMs * 1.2);
    expect(waiters.filter(({ isAnswered }) => isAnswered())).toHaveLength(1);

    await other.coordinator.complete({ ref, fencingToken: granted.fencingToken, result: result('done') });
    const kinds = (await Promise.all(waiters.map(({ answer }) => answer))).map((each) => each.outcome?.$case);
    expect(kinds.filter((kind) => kind === 'execute')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'replay')).toHaveLength(49);
  });
});

test("a waiter is answered in_progress before its call's deadline, and at the end of its wait", async () => {
  await execute(one, 'deadline');
  const startTime = performance.now();
  const byDeadline = await one.coordinator.begin(beginRequest('deadline', longWait), { deadlineMs: 1500 });
  const tookMs = performance.now() - startTime;
  expect(expectOutcome(byDeadline, 'inProgress').leaseLeft?.seconds).toBeGreaterThan(20n);
  expect(tookMs).toBeGreaterThan(1000);
  expect(tookMs).toBeLessThan(1500);

  const askTime = performance.now();
  const byWait = await one.coordinator.begin(beginRequest('deadline', { wait: durationOf(300) }));
  expectOutcome(byWait, 'inProgress');
  expect(performance.now() - askTime).toBeGreaterThanOrEqual(295);
});

test('a waiter that left is granted nothing', async () => {
  const { fencingToken } = await execute(one, 'left');
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal);
  const waiters = await startWaiters('left', spread(20), leaving.signal);
  leaving.abort();
  for (const { answer } of waiters) await expect(answer).rejects.toMatchObject({ reason: 'CANCELLED' });
  const [staying] = await startWaiters('left', [one]);
  await untilWatched('left');
  const status = { code: 14, message: 'bank unreachable', details: Buffer.alloc(0) };
  const kind = FailRequest_Kind.RETRYABLE;
  await one.coordinator.fail({ ref: refOf('left'), fencingToken, kind, status });
  expect(expectOutcome((await staying?.answer) as BeginResponse, 'execute').attempt).toBe(2);
});

test('500 waiters hold no connection and no transaction', async () => {
  const count = 500;
  const before = await waited();
  const keys = Array.from({ length: count }, (_, i) => `many-${i}`);
  const grants = await Promise.all(keys.map((key) => execute(one, key, { lease: durationOf(60_000) })));
  const answers = keys.map((key, i) =>
    (i % 2 === 0 ? one : other).coordinator.begin(beginRequest(key, longWait)),
  );
  await until('all wait', async () => (await waited()) - before === BigInt(count));
  const [held] = await setup.database.query<{ connections: number; open: number }>(
    `SELECT count(*)::int AS connections, (count(*) FILTER (WHERE state LIKE 'idle in transaction%'))::int AS open
     FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'onceward%'`,
  );
  // And the one that listens.
  const perCoordinator = Object.values(poolSizes).reduce((sum, size) => sum + size, 1);
  expect(held?.connections).toBeLessThanOrEqual(2 * perCoordinator);
  expect(held?.open).toBe(0);
  const finishing = keys.map((key, i) => {
    const fencingToken = grants[i]?.fencingToken ?? 0n;
    return one.coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
  });
  await Promise.all(finishing);
  for (const answer of await Promise.all(answers)) expectOutcome(answer, 'replay');
});

test('many waiters on one Session raise no warning, and leave with it', async ({ onTestFinished }) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const client = new CoordinatorClient(one.address, credentials.createInsecure());
  onTestFinished(() => {
    process.off('warning', onWarning);
    client.close();
  });
  await execute(one, 'session', { lease: durationOf(60_000) });
  const before = await waited();
  const session = client.session();
  session.on('error', () => undefined);
  const answers: SessionResponse[] = [];
  session.on('data', (answer: SessionResponse) => answers.push(answer));
  const begin = { ...BeginRequest.fromPartial({}), ...beginRequest('session', longWait) };
  session.write({
    calls: Array.from({ length: 40 }, (_, i) => ({
      id: BigInt(i),
      request: { $case: 'begin', value: { ...begin, attemptId: `attempt-${i}` } },
    })),
  });
  await until('all wait', async () => (await waited()) - before === 40n);
  const over = await counterOf(one, 'begin.in_progress');
  session.cancel();
  await until('all left', async () => (await counterOf(one, 'begin.in_progress')) - over === 40n);
  expect(answers).toEqual([]);
  expect(warnings).toEqual([]);
});

test('a drain answers waiters at once', async ({ onTestFinished }) => {
  const draining = await startCoordinator(setup.database.url);
  onTestFinished(() => draining.stop());
  await execute(one, 'drained', { lease: durationOf(60_000) });
  const waiting = draining.coordinator.begin(beginRequest('drained', longWait));
  await until('it waits', async () => (await counterOf(draining, 'begin.waited')) === 1n);
  const startTime = performance.now();
  const stopped = draining.server.stop();
  expectOutcome(await waiting, 'inProgress');
  await stopped;
  expect(performance.now() - startTime).toBeLessThan(5000);
});

test('a waiter is answered by its own look when the notification is lost', async () => {
  const { fencingToken } = await execute(one, 'lost', { lease: durationOf(60_000) });
  const [waiting] = await startWaiters('lost', [one]);
  await untilWatched('lost');
  // Nobody is told of the end of an attempt that isn't watched.
  await setup.database.query(`UPDATE onceward.record SET watched = false WHERE key = 'lost'`);
  await other.coordinator.complete({ ref: refOf('lost'), fencingToken, result: result('done') });
  expectOutcome((await waiting?.answer) as BeginResponse, 'replay');
});

test('a waiter is answered when the connection that listens is killed, and the listener comes back', async () => {
  const { fencingToken } = await execute(one, 'deaf', { lease: durationOf(60_000) });
  const [waiting] = await startWaiters('deaf', [one]);
  await untilWatched('deaf');
  const killed = await setup.database.query<{ pid: number }>(
    `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'onceward listener'`,
  );
  expect(killed).toHaveLength(2);
  await other.coordinator.complete({ ref: refOf('deaf'), fencingToken, result: result('done') });
  expectOutcome((await waiting?.answer) as BeginResponse, 'replay');
  await until('both listen again', async () => {
    const listening = await setup.database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database()
       AND application_name = 'onceward listener' AND query LIKE 'LISTEN%'`,
    );
    return listening.length === 2 && listening.every(({ pid }) => killed.every((gone) => gone.pid !== pid));
  });
});

interface Waiter {
  readonly answer: Promise<BeginResponse>;
  readonly isAnswered: () => boolean;
}

/** Starts one waiter at each, and returns when all of them wait. */
async function startWaiters(
  key: string,
  at: readonly TestCoordinator[],
  signal?: AbortSignal,
): Promise<readonly Waiter[]> {
  const before = await waited();
  const waiters = at.map(({ coordinator }) => {
    let answered = false;
    const options = signal === undefined ? { deadlineMs: 30_000 } : { deadlineMs: 30_000, signal };
    const answer = coordinator.begin(beginRequest(key, longWait), options).finally(() => {
      answered = true;
    });
    answer.catch(() => undefined);
    return { answer, isAnswered: () => answered };
  });
  await until('all wait', async () => (await waited()) - before === BigInt(at.length));
  return waiters;
}

function spread(count: number): readonly TestCoordinator[] {
  return Array.from({ length: count }, (_, i) => (i % 2 === 0 ? one : other));
}

/** Waits so far, over both processes. */
async function waited(): Promise<bigint> {
  return (await counterOf(one, 'begin.waited')) + (await counterOf(other, 'begin.waited'));
}

async function untilWatched(key: string): Promise<void> {
  await until('its end is watched', async () => {
    const [row] = await setup.database.query('SELECT FROM onceward.record WHERE key = $1 AND watched', [key]);
    return row;
  });
}

import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { untilBlocked, withHolder, type Holder } from '../support/holder.js';
import { lapse } from '../support/time-travel.js';

/**
 * Two calls meet on one record in a chosen order: a third connection holds the record's row, the calls queue up behind it
 * one after the other, and then it lets go. Nothing here waits for time to pass.
 */

let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;

beforeAll(async () => {
  // The calls are held up for as long as a busy machine needs.
  setup = await startSetup({ coordinators: 2, flags: { statementTimeoutMs: 25_000, replayCacheBytes: 0 } });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

const lockRow = 'SELECT FROM onceward.record WHERE key = $1 FOR UPDATE';

/** Lets `first` reach the held row before `second`, then lets go; what became of both. */
async function inOrder<A, B>(key: string, first: () => Promise<A>, second: () => Promise<B>) {
  return withHolder(setup.database.url, async (holder) => {
    await holder.query(lockRow, [key]);
    const started = settled(first());
    await untilBlocked(setup.database, 1);
    const followed = settled(second());
    await untilBlocked(setup.database, 2);
    await holder.commit();
    return [await started, await followed] as const;
  });
}

/** The value, or the reason it failed with; never left unhandled. */
function settled<T>(work: Promise<T>): Promise<T | string> {
  return work.catch((error: unknown) => (error as { readonly reason: string }).reason);
}

async function lapsed(): Promise<{ readonly key: string; readonly token: bigint }> {
  const { key, token } = await leased();
  await lapse(setup.database, key);
  return { key, token };
}

async function leased(): Promise<{ readonly key: string; readonly token: bigint }> {
  const key = `key-${randomBytes(6).toString('hex')}`;
  const { fencingToken } = await execute(one, key);
  return { key, token: fencingToken };
}

const begin = (on: TestCoordinator, key: string) => () => on.coordinator.begin(beginRequest(key));
const complete = (on: TestCoordinator, key: string, fencingToken: bigint) => () =>
  on.coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
const heartbeat = (on: TestCoordinator, key: string, fencingToken: bigint) => () =>
  on.coordinator.heartbeat({ ref: refOf(key), fencingToken });
const forget = (on: TestCoordinator, key: string) => () =>
  on.admin.forget({ ref: refOf(key), reason: 'test', evenIfLeased: false });

test('takeover before a late Complete: the takeover holds, the late one has lost its lease', async () => {
  const { key, token } = await lapsed();
  const [begun, completed] = await inOrder(key, begin(one, key), complete(two, key, token));
  expect(begun).toMatchObject({ outcome: { $case: 'execute', value: { attempt: 2, takeover: true } } });
  expect(completed).toBe('LEASE_LOST');
});

test('a late Complete before the takeover: its result is replayed', async () => {
  const { key, token } = await lapsed();
  const [completed, begun] = await inOrder(key, complete(two, key, token), begin(one, key));
  expect(completed).toMatchObject({ already: false });
  expect(begun).toMatchObject({ outcome: { $case: 'replay', value: { attempts: 1 } } });
});

test('two takeovers of one lapsed lease: the second finds the first at it', async () => {
  const { key } = await lapsed();
  const [first, second] = await inOrder(key, begin(one, key), begin(two, key));
  expect(first).toMatchObject({ outcome: { $case: 'execute', value: { attempt: 2 } } });
  expect(second).toMatchObject({ outcome: { $case: 'inProgress', value: { attempt: 2 } } });
});

test('heartbeat before the takeover: the lease lives again, nobody takes over', async () => {
  const { key, token } = await lapsed();
  const [beaten, begun] = await inOrder(key, heartbeat(two, key, token), begin(one, key));
  expect(beaten).toMatchObject({ leaseLeft: { seconds: 30n } });
  expect(begun).toMatchObject({ outcome: { $case: 'inProgress', value: { attempt: 1 } } });
});

test('takeover before the heartbeat: the owner learns that its lease is lost', async () => {
  const { key, token } = await lapsed();
  const [begun, beaten] = await inOrder(key, begin(one, key), heartbeat(two, key, token));
  expect(begun).toMatchObject({ outcome: { $case: 'execute', value: { attempt: 2 } } });
  expect(beaten).toBe('LEASE_LOST');
});

test('two Completes with different results: one is stored, the other is a conflict', async () => {
  const { key, token } = await leased();
  const other = () =>
    two.coordinator.complete({ ref: refOf(key), fencingToken: token, result: result('other') });
  const [first, second] = await inOrder(key, complete(one, key, token), other);
  expect(first).toMatchObject({ already: false });
  expect(second).toBe('RESULT_CONFLICT');
  const replay = expectOutcome(await two.coordinator.begin(beginRequest(key)), 'replay');
  expect(replay.result).toEqual(result('done'));
});

test('Forget before a takeover: the key is new, its token is larger', async () => {
  const { key, token } = await lapsed();
  const [forgotten, begun] = await inOrder(key, forget(two, key), begin(one, key));
  expect(forgotten).toEqual({ already: false });
  expect(begun).toMatchObject({ outcome: { $case: 'execute', value: { attempt: 1, takeover: false } } });
  const { fencingToken } = expectOutcome(begun as Exclude<typeof begun, string>, 'execute');
  expect(fencingToken).toBeGreaterThan(token);
});

test('takeover before Forget: a live lease is not forgotten', async () => {
  const { key } = await lapsed();
  const [begun, forgotten] = await inOrder(key, begin(one, key), forget(two, key));
  expect(begun).toMatchObject({ outcome: { $case: 'execute', value: { attempt: 2 } } });
  expect(forgotten).toBe('STATE_CONFLICT');
});

/** Another writer's uncommitted work on the same key, seen from a Begin that meets it. */
async function beginMeeting(
  key: string,
  work: (holder: Holder) => Promise<void>,
  end: 'commit' | 'rollback',
) {
  return withHolder(setup.database.url, async (holder) => {
    await work(holder);
    const begun = one.coordinator.begin(beginRequest(key));
    begun.catch(() => undefined);
    await untilBlocked(setup.database, 1);
    await holder[end]();
    return begun;
  });
}

const insertFor = (key: string) => (holder: Holder) =>
  holder.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       lease_expire_time, record_expire_time, operation, attempt_id)
     VALUES ('test', '', $1, 'IN_PROGRESS', 'RERUN', 1, nextval('onceward.fencing_token'), now(),
       now() + interval '1 h', now() + interval '1 day', 'charge', $2)`,
    [key, randomUUID()],
  );

test('a claim that meets an uncommitted claim waits: committed, the other holds the lease', async () => {
  const begun = await beginMeeting('meets-commit', insertFor('meets-commit'), 'commit');
  expect(expectOutcome(begun, 'inProgress').attempt).toBe(1);
});

test('a claim that meets an uncommitted claim waits: rolled back, it is granted', async () => {
  const begun = await beginMeeting('meets-rollback', insertFor('meets-rollback'), 'rollback');
  expect(expectOutcome(begun, 'execute').attempt).toBe(1);
});

test.each([
  ['commit', 'execute'],
  ['rollback', 'inProgress'],
] as const)('a claim that meets an uncommitted removal waits: %s gives %s', async (end, outcome) => {
  const { key } = await leased();
  const remove = (holder: Holder) => holder.query('DELETE FROM onceward.record WHERE key = $1', [key]);
  const begun = await beginMeeting(key, remove, end);
  expect(expectOutcome(begun, outcome).attempt).toBe(1);
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { State } from '../../src/gen/onceward/v1/record.js';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, expectOutcome, refOf, result } from '../support/calls.js';
import { type Child, said } from '../support/child.js';
import { runChild } from '../support/child-coordinator.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { lapse } from '../support/time-travel.js';

const leaseMs = 400;
let setup: TestSetup;
let one: TestCoordinator;
let other: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, other] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

test('owner killed: a waiter takes over when the lease lapses, the token grows', async () => {
  const { owner, token } = await startOwner('killed');
  const waiting = [one, other].map(({ coordinator }) =>
    coordinator.begin(beginRequest('killed', { wait: durationOf(15_000), lease: durationOf(60_000) })),
  );
  owner.signal('SIGKILL');
  expect(await owner.ended).toBe('SIGKILL');

  const taken = expectOutcome(await Promise.race(waiting), 'execute');
  expect(taken).toMatchObject({ attempt: 2, takeover: true });
  expect(taken.fencingToken).toBeGreaterThan(token);

  const { fencingToken } = taken;
  await one.coordinator.complete({ ref: refOf('killed'), fencingToken, result: result('once') });
  const outcomes = (await Promise.all(waiting)).map((each) => each.outcome?.$case);
  expect(outcomes.sort()).toEqual(['execute', 'replay']);
});

test('owner killed: the next Begin takes over when the lease lapses, and not before', async () => {
  const { owner, token } = await startOwner('killed-next', 60_000);
  owner.signal('SIGKILL');
  await owner.ended;
  expectOutcome(await one.coordinator.begin(beginRequest('killed-next')), 'inProgress');

  await lapse(setup.database, 'killed-next');
  const next = expectOutcome(await one.coordinator.begin(beginRequest('killed-next')), 'execute');
  expect(next.takeover).toBe(true);
  expect(next.fencingToken).toBeGreaterThan(token);
});

test('owner killed, PARK: INDETERMINATE', async () => {
  const { owner } = await startOwner('killed-park', leaseMs, 'park');
  const waiting = [one, other].map(({ coordinator }) =>
    coordinator.begin(beginRequest('killed-park', { wait: durationOf(15_000) })),
  );
  owner.signal('SIGKILL');
  for (const answer of await Promise.all(waiting)) expectOutcome(answer, 'indeterminate');
  const found = await one.coordinator.lookup({ ref: refOf('killed-park') });
  expect(found.state).toBe(State.INDETERMINATE);
});

test('owner paused longer than its lease, then wakes: its Complete and Heartbeat are refused (LEASE_LOST)', async () => {
  const { owner, token } = await startOwner('paused');
  owner.signal('SIGSTOP');
  const taken = expectOutcome(
    await one.coordinator.begin(
      beginRequest('paused', { wait: durationOf(15_000), lease: durationOf(60_000) }),
    ),
    'execute',
  );
  expect(taken.fencingToken).toBeGreaterThan(token);
  owner.tell('complete');
  owner.tell('heartbeat');
  owner.signal('SIGCONT');
  expect(await said(owner, 'out', /^complete: /)).toBe('complete: LEASE_LOST');
  expect(await said(owner, 'out', /^heartbeat: /)).toBe('heartbeat: LEASE_LOST');

  const { fencingToken } = taken;
  await one.coordinator.complete({ ref: refOf('paused'), fencingToken, result: result('by the second') });
  const replay = expectOutcome(await other.coordinator.begin(beginRequest('paused')), 'replay');
  expect(replay.result).toEqual(result('by the second'));
});

test('owner paused longer than its lease, nobody took over: its Complete is accepted', async () => {
  const { owner } = await startOwner('paused-alone', 60_000);
  owner.signal('SIGSTOP');
  await lapse(setup.database, 'paused-alone');
  owner.tell('complete');
  owner.signal('SIGCONT');
  expect(await said(owner, 'out', /^complete: /)).toBe('complete: OK');
});

/** A service that has begun the key. */
async function startOwner(
  key: string,
  lease = leaseMs,
  ...manner: 'park'[]
): Promise<{ readonly owner: Child; readonly token: bigint }> {
  const args = ['test/support/owner-process.ts', one.address, key, String(lease), ...manner];
  const owner = runChild(args);
  return { owner, token: BigInt(await said(owner, 'out', /^\d+$/)) };
}

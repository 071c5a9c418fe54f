import { expect, test } from 'vitest';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, counterOf, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { type ChildCoordinator, startChildCoordinator } from '../support/child-coordinator.js';
import { startSetup, type TestCoordinator } from '../support/coordinator.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

/** Longer than a process may trust what it has in memory. */
const pauseMs = 1000;

const line =
  "coordinator paused (SIGSTOP) while others go on: on waking it can't grant, replay or accept anything the database " +
  'no longer allows';

test(line, async ({ onTestFinished }) => {
  const setup = await startSetup();
  onTestFinished(() => setup.stop());
  const [awake] = setup.coordinators as [TestCoordinator];
  const paused = await startChildCoordinator(setup.database.url);
  await finish(awake, 'cached', 'old');
  await untilCached(paused, 'cached', 'old');
  const superseded = expectOutcome(await paused.coordinator.begin(beginRequest('taken')), 'execute');
  await execute(awake, 'lapsing', { lease: durationOf(60_000) });
  const waiting = paused.coordinator.begin(beginRequest('lapsing', { wait: durationOf(20_000) }));
  await until('it waits', async () => (await counterOf(paused, 'begin.waited')) === 1n);

  paused.signal('SIGSTOP');
  const stopTime = performance.now();
  await awake.admin.forget({ ref: refOf('cached'), reason: 'wrong charge' });
  await finish(awake, 'cached', 'new');
  await lapse(setup.database, 'taken');
  const successor = await execute(awake, 'taken');
  await lapse(setup.database, 'lapsing');
  const taker = await execute(awake, 'lapsing', { lease: durationOf(60_000) });
  await execute(awake, 'held', { lease: durationOf(60_000) });
  // Sent while it is stopped, so that they are the first things it sees.
  const { fencingToken } = superseded;
  const late = {
    replay: paused.coordinator.begin(beginRequest('cached')),
    grant: paused.coordinator.begin(beginRequest('held')),
    complete: paused.coordinator.complete({ ref: refOf('taken'), fencingToken, result: result('stale') }),
    heartbeat: paused.coordinator.heartbeat({ ref: refOf('taken'), fencingToken }),
  };
  for (const answer of Object.values(late)) answer.catch(() => undefined);
  await until('the pause is long enough', () => performance.now() - stopTime > pauseMs);
  paused.signal('SIGCONT');

  expect(expectOutcome(await late.replay, 'replay').result).toEqual(result('new'));
  expectOutcome(await late.grant, 'inProgress');
  await expect(late.complete).rejects.toMatchObject({ reason: 'LEASE_LOST' });
  await expect(late.heartbeat).rejects.toMatchObject({ reason: 'LEASE_LOST' });
  await complete(awake, 'lapsing', taker.fencingToken, 'by the taker');
  expect(expectOutcome(await waiting, 'replay').result).toEqual(result('by the taker'));
  await complete(paused, 'taken', successor.fencingToken, 'by the successor');
});

async function finish(at: TestCoordinator, key: string, payload: string): Promise<void> {
  const { fencingToken } = await execute(at, key);
  await complete(at, key, fencingToken, payload);
}

function complete(
  { coordinator }: Pick<TestCoordinator, 'coordinator'>,
  key: string,
  fencingToken: bigint,
  payload: string,
): Promise<unknown> {
  return coordinator.complete({ ref: refOf(key), fencingToken, result: result(payload) });
}

/** Shows that the replay comes from memory, without which the pause would prove nothing. */
async function untilCached(at: ChildCoordinator, key: string, payload: string): Promise<void> {
  await until('it replays from memory', async () => {
    const replay = expectOutcome(await at.coordinator.begin(beginRequest(key)), 'replay');
    expect(replay.result).toEqual(result(payload));
    return (await counterOf(at, 'begin.replay.cached')) > 0n;
  });
}

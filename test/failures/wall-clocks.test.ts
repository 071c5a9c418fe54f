import { expect, test } from 'vitest';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, counterOf, expectOutcome, refOf, result } from '../support/calls.js';
import { said } from '../support/child.js';
import { type ChildCoordinator, startChildCoordinator } from '../support/child-coordinator.js';
import { startSetup } from '../support/coordinator.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

const hourMs = 3_600_000;

test('wall clocks of coordinators differ by hours: no effect', async ({ onTestFinished }) => {
  // A minute of retention: a clock that is hours off would see everything expired, or every key too old.
  const retention = { kind: { $case: 'duration', value: durationOf(60_000) } } as const;
  const setup = await startSetup({ policy: { resultRetention: retention, refuseOldKeys: true } });
  onTestFinished(() => setup.stop());
  const [ahead, behind] = await Promise.all([5, -5].map((hours) => startShifted(setup.database.url, hours)));
  if (ahead === undefined || behind === undefined) throw new Error('two were asked for');

  for (const [mine, other] of [
    [ahead, behind],
    [behind, ahead],
  ] as const) {
    const { key } = await mine.coordinator.mintKey({ namespace: 'test' });
    const lease = durationOf(30_000);
    const first = expectOutcome(await mine.coordinator.begin(beginRequest(key, { lease })), 'execute');
    expect(first.lease).toEqual(lease);
    // Neither believes the lease over, nor that it lasts for hours.
    const held = expectOutcome(await other.coordinator.begin(beginRequest(key)), 'inProgress');
    expect(Number(held.leaseLeft?.seconds)).toBeLessThan(30);
    expect(Number(held.leaseLeft?.seconds)).toBeGreaterThan(10);
    await mine.coordinator.heartbeat({ ref: refOf(key), fencingToken: first.fencingToken, lease });

    await lapse(setup.database, key);
    const second = expectOutcome(await other.coordinator.begin(beginRequest(key, { lease })), 'execute');
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    const late = { ref: refOf(key), result: result('late'), fencingToken: first.fencingToken };
    await expect(mine.coordinator.complete(late)).rejects.toMatchObject({ reason: 'LEASE_LOST' });

    const waiting = mine.coordinator.begin(beginRequest(key, { wait: durationOf(20_000) }));
    const { fencingToken } = second;
    const done = await other.coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
    expectOutcome(await waiting, 'replay');
    for (const each of [mine, other]) {
      // From the store, and then from memory, where each judges the expiry itself.
      await until('it replays from memory', async () => {
        const cached = await counterOf(each, 'begin.replay.cached');
        const replay = expectOutcome(await each.coordinator.begin(beginRequest(key)), 'replay');
        expect(replay.expireTime).toEqual(done.expireTime);
        return (await counterOf(each, 'begin.replay.cached')) > cached;
      });
    }
    // A wait ends at its time, by whatever clock the server goes.
    const { key: parked } = await mine.coordinator.mintKey({ namespace: 'test' });
    await other.coordinator.begin(beginRequest(parked, { lease }));
    const startTime = performance.now();
    const waited = await mine.coordinator.begin(beginRequest(parked, { wait: durationOf(20_000) }), {
      deadlineMs: 2000,
    });
    expectOutcome(waited, 'inProgress');
    expect(performance.now() - startTime).toBeGreaterThan(1500);
  }
});

/** Shows by its log that the clock is off indeed. */
async function startShifted(databaseUrl: string, hours: number): Promise<ChildCoordinator> {
  const child = await startChildCoordinator(databaseUrl, [], {
    imports: ['./test/support/shifted-clock.ts'],
    env: { ONCEWARD_TEST_CLOCK_SHIFT_MS: String(hours * hourMs) },
  });
  const { time } = JSON.parse(await said(child, 'errors', /serving/)) as { readonly time: string };
  expect(Math.abs(Date.parse(time) - Date.now() - hours * hourMs)).toBeLessThan(hourMs / 2);
  return child;
}

import { expect, test } from 'vitest';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { beginRequest, execute, refOf } from '../support/calls.js';
import { startCoordinator, type TestCoordinator } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { violationsOf } from '../support/history.js';
import { type Attempted, replayAll, startLoad } from '../support/load.js';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.js';
import { until } from '../support/until.js';

/** How quickly a call must be told that the store is not there. */
const quicklyMs = 2000;

test.for(['fast', 'immediate'] as const)(
  'Postgres restarted (%s), connections cut: UNAVAILABLE quickly, recovery by itself, no lost acknowledged result',
  async (mode, { onTestFinished }) => {
    const { postgres, coordinator } = await start(onTestFinished);
    const load = startLoad({ name: mode, callers: 32, route: () => coordinator });
    for (let restarts = 0; restarts < 2; restarts += 1) {
      const before = load.acknowledged.size;
      await until('the load is under way', () => load.acknowledged.size >= before + 100);
      await postgres.restart(mode);
    }
    const after = load.acknowledged.size;
    await until('it serves again by itself', () => load.acknowledged.size >= after + 100);
    await load.stop();

    const failed = load.calls.filter(hasFailed);
    // Without a call in between nothing was tried.
    expect(failed.length).toBeGreaterThan(10);
    for (const { error, tookMs } of failed) {
      expect(error).toMatchObject({ code: 14, reason: 'STORE_UNAVAILABLE' });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(quicklyMs);
    }
    const replays = await replayAll(load.acknowledged.keys(), coordinator);
    expect(violationsOf([...load.history, ...replays])).toEqual([]);
    for (const { key, payload } of replays) expect(payload).toBe(load.acknowledged.get(key));
  },
);

test('Postgres down for a while: calls get UNAVAILABLE quickly, health says so, and both recover by themselves', async ({
  onTestFinished,
}) => {
  const { postgres, coordinator } = await start(onTestFinished);
  const granted = await execute(coordinator, 'before');
  expect(await health(coordinator)).toEqual(['SERVING', 'SERVING', 200]);
  // A caller that comes while it is down, over a channel of its own.
  const newcomer = connectCoordinator({ address: coordinator.address });
  onTestFinished(() => newcomer.close());

  await postgres.stop();
  await until('health says so', async () => {
    expect(await health(coordinator)).toEqual(['NOT_SERVING', 'NOT_SERVING', 503]);
    return true;
  });
  const { fencingToken } = granted;
  const ref = refOf('before');
  const calls = [
    () => newcomer.coordinator.begin(beginRequest('new')),
    () => newcomer.coordinator.complete({ ref, fencingToken }),
    () => newcomer.coordinator.heartbeat({ ref, fencingToken }),
    () => newcomer.coordinator.lookup({ ref }),
    () => newcomer.admin.forget({ ref, reason: 'test' }),
    () => newcomer.admin.listRecords({ namespace: 'test' }),
  ];
  for (const send of calls) {
    const startTime = performance.now();
    await expect(send()).rejects.toMatchObject({ code: 14, reason: 'STORE_UNAVAILABLE' });
    expect(performance.now() - startTime).toBeLessThan(quicklyMs);
  }

  await postgres.start();
  await until('health says so', async () => {
    expect(await health(coordinator)).toEqual(['SERVING', 'SERVING', 200]);
    return true;
  });
  await execute(coordinator, 'after');
  expect((await coordinator.coordinator.heartbeat({ ref, fencingToken })).leaseLeft).toBeDefined();
});

async function start(
  onTestFinished: (clean: () => Promise<void>) => void,
): Promise<{ readonly postgres: OwnPostgres; readonly coordinator: TestCoordinator }> {
  const postgres = await startOwnPostgres();
  const coordinator = await startCoordinator(postgres.url);
  onTestFinished(() => coordinator.stop());
  await putNamespace(coordinator, 'test');
  return { postgres, coordinator };
}

function hasFailed(call: Attempted): call is Attempted & { readonly error: NonNullable<Attempted['error']> } {
  return call.error !== undefined;
}

/** Of the server, of one service, and of /readyz. */
async function health(coordinator: TestCoordinator): Promise<readonly [string, string, number]> {
  const ready = await fetch(`http://127.0.0.1:${coordinator.server.httpPort}/readyz`);
  await ready.text();
  return [await coordinator.health(''), await coordinator.health('onceward.v1.Coordinator'), ready.status];
}

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { beginRequest, counterOf, execute, expectOutcome, refOf, result } from '../support/calls.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { until } from '../support/until.js';

const boundMs = 1000;
/** Long enough beyond the bound to see a stale replay that comes late. */
const watchMs = 2500;

const line = 'admin forgets a key while other processes cache its replay: within 1 s nobody replays it';

test(line, async ({ onTestFinished }) => {
  const setup = await startSetup({ coordinators: 3 });
  onTestFinished(() => setup.stop());
  const [operator, ...others] = setup.coordinators as [TestCoordinator, ...TestCoordinator[]];
  for (let round = 0; round < 5; round += 1) {
    const key = `forgotten-${round}`;
    await finishAndCache(operator, others, key);
    const forgotten = await operator.admin.forget({ ref: refOf(key), reason: 'wrong charge' });
    expect(forgotten.already).toBe(false);
    const forgetTime = performance.now();
    // Whoever asks the store first is granted the key, so from then on nobody may say `replay`.
    for (const each of others) {
      await until('it knows', async () => {
        const { outcome } = await each.coordinator.begin(beginRequest(key));
        return outcome?.$case !== 'replay';
      });
      expect(performance.now() - forgetTime).toBeLessThan(boundMs);
    }
  }
});

const severed =
  'admin forgets a key while other processes cache its replay: if the invalidation channel is down, caches are off';

test.for(['stalled', 'cut'] as const)(`${severed} (%s)`, async (fault, { onTestFinished }) => {
  const setup = await startSetup();
  onTestFinished(() => setup.stop());
  const { other, proxy } = await startBehindProxy(setup, onTestFinished);
  const [operator] = setup.coordinators as [TestCoordinator];
  await finishAndCache(operator, [other], 'severed');

  if (fault === 'stalled') proxy.stall();
  else {
    proxy.refuse();
    proxy.cutAll();
  }
  await operator.admin.forget({ ref: refOf('severed'), reason: 'wrong charge' });
  const forgetTime = performance.now();
  let lastStaleMs = 0;
  let refused = 0;
  const ask = async () => {
    const sentMs = performance.now() - forgetTime;
    const answer = await other.coordinator
      .begin(beginRequest('severed'), { deadlineMs: 8000 })
      .catch(() => undefined);
    if (answer === undefined) refused += 1;
    else expectOutcome(answer, 'replay');
    // By the time it was asked: what was true then may take its time to arrive.
    if (answer !== undefined) lastStaleMs = Math.max(lastStaleMs, sentMs);
  };
  const asked: Promise<void>[] = [];
  await until('it was asked all the time', async () => {
    asked.push(ask());
    await pause(20);
    return performance.now() - forgetTime > watchMs;
  });
  await Promise.all(asked);
  expect(lastStaleMs).toBeLessThan(boundMs);
  expect(refused).toBeGreaterThan(10);

  proxy.pass();
  proxy.cutAll();
  const again = await until('it reaches the store again', () =>
    other.coordinator.begin(beginRequest('severed')),
  );
  expectOutcome(again, 'execute');
});

async function finishAndCache(
  owner: TestCoordinator,
  others: readonly TestCoordinator[],
  key: string,
): Promise<void> {
  const { fencingToken } = await execute(owner, key);
  await owner.coordinator.complete({ ref: refOf(key), fencingToken, result: result('charged') });
  for (const each of others) {
    const before = await counterOf(each, 'begin.replay.cached');
    await until('it replays from memory', async () => {
      expectOutcome(await each.coordinator.begin(beginRequest(key)), 'replay');
      return (await counterOf(each, 'begin.replay.cached')) > before;
    });
  }
}

async function startBehindProxy(setup: TestSetup, onTestFinished: (clean: () => Promise<void>) => void) {
  const { url, proxy } = await proxyDatabase(setup.database.url);
  onTestFinished(() => proxy.close());
  const other = await startCoordinator(url);
  onTestFinished(() => other.stop());
  return { other, proxy };
}

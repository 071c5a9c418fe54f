import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { counterOf } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { gate, proxied, service } from '../support/sdk.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

test('off by default: without a coordinator the function does not run', async () => {
  const proxy = await proxied(one.address);
  proxy.refuse();
  const { charge, runs } = service([proxy.address]);
  const error = await caught(charge('closed', () => 1, { beginTimeoutMs: 200 }));
  expect(error.code).toBe(status.UNAVAILABLE);
  expect(runs).toHaveLength(0);
});

test('on: it runs unguarded within the window, not after it, and guarded again once there is a coordinator', async () => {
  const proxy = await proxied(one.address);
  const { charge, onceward, runs } = service([proxy.address]);
  const more = { failOpenMs: 1000, beginTimeoutMs: 100 };
  await charge('before', () => 'first', more);
  proxy.refuse();
  proxy.cutAll();

  expect(await charge('open', () => 'first', more)).toBe('first');
  expect(await charge('open', () => 'second', more)).toBe('second');
  expect(runs.slice(1)).toMatchObject([
    { guarded: false, fencingToken: 0n, attempt: 0 },
    { guarded: false, fencingToken: 0n, attempt: 0 },
  ]);
  // Nothing is lost that could be, and there is no one to save for.
  await runs[1]!.saveCheckpoint(Buffer.from('x'));
  runs[1]!.assertHeld();

  const since = onceward.calls.unreachableSince!;
  await until('the window has passed', () => performance.now() - since > 1000);
  expect((await caught(charge('open', () => 'third', more))).code).toBe(status.UNAVAILABLE);
  expect(runs).toHaveLength(3);

  proxy.pass();
  await until('it is guarded again', async () => {
    await charge('open', () => 'fourth', more);
    return runs.at(-1)?.guarded;
  });
  expect(await charge('open', () => 'fifth', more)).toBe('fourth');
});

test('a coordinator that refuses is one that answers', async () => {
  const { charge, runs } = service([one.address], { namespace: 'undeclared' });
  expect(await caught(charge('k', () => 1, { failOpenMs: 60_000 }))).toMatchObject({
    reason: 'NAMESPACE_NOT_FOUND',
  });
  expect(runs).toHaveLength(0);
});

test('another execution that is known of is not joined', async () => {
  const done = gate<string>();
  const first = service([one.address]).charge('known', () => done.passed);
  const proxy = await proxied(one.address);
  const { charge, runs } = service([proxy.address]);
  const before = await counterOf(one, 'begin.waited');
  const second = charge('known', () => 'second', { failOpenMs: 60_000, beginTimeoutMs: 1000, waitMs: 200 });
  await until('it waits', async () => (await counterOf(one, 'begin.waited')) > before);
  proxy.refuse();
  proxy.cutAll();
  expect((await caught(second)).code).toBe(status.UNAVAILABLE);
  expect(runs).toHaveLength(0);
  done.open('first');
  expect(await first).toBe('first');
});

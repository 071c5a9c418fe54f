import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Status } from '../../src/gen/google/rpc/status.js';
import type { Answer } from '../../src/gen/onceward/v1/coordinator.js';
import { beginRequest, counterOf, expectOutcome, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { errorWith } from '../support/scripted-coordinator.js';
import { extended, startScriptedSession } from '../support/scripted-session.js';
import { connected, proxied } from '../support/sdk.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

const held = { ref: refOf('k'), fencingToken: 1n };
/** Nobody listens there. */
const nowhere = '127.0.0.1:9';

describe('sent again', () => {
  test('Begin after its answer was lost: the same grant', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address]);
    await calls.lookup({ ref: refOf('none') }).catch(() => undefined);
    const lost = proxy.loseNextAnswer();
    const granted = expectOutcome(await calls.begin(beginRequest('begin-lost')), 'execute');
    await lost;
    expect(granted).toMatchObject({ attempt: 1, takeover: false });
    expect(await counterOf(one, 'begin.execute.repeated')).toBe(1n);
    await calls.complete({ ref: refOf('begin-lost'), ...granted, result: result('once') });
  });

  test('Complete after its answer was lost: already', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address]);
    const { fencingToken } = expectOutcome(await calls.begin(beginRequest('complete-lost')), 'execute');
    const lost = proxy.loseNextAnswer();
    const answer = await calls.complete({
      ref: refOf('complete-lost'),
      fencingToken,
      result: result('once'),
    });
    await lost;
    expect(answer.already).toBe(true);
  });

  test('a hundred calls under way when the connection is cut: each has its answer', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address]);
    await calls.begin(beginRequest('cut'));
    const keys = Array.from({ length: 100 }, (_, i) => `cut-${i}`);
    const lost = proxy.loseNextAnswer();
    const outcomes = await Promise.all(keys.map((key) => calls.begin(beginRequest(key))));
    await lost;
    for (const outcome of outcomes) expectOutcome(outcome, 'execute');
  });

  test('when the coordinator drains and stops, to the other one', async () => {
    const third = await startCoordinator(setup.database.url);
    const { calls } = connected([third.address, one.address]);
    const keys = Array.from({ length: 400 }, (_, i) => `drain-${i}`);
    const begun = Promise.all(keys.map((key) => calls.begin(beginRequest(key))));
    await until('some have arrived', async () => (await counterOf(third, 'begin.execute')) > 0n);
    const stopped = third.stop();
    for (const outcome of await begun) expectOutcome(outcome, 'execute');
    const again = await Promise.all(keys.map((key) => calls.begin(beginRequest(`${key}-later`))));
    for (const outcome of again) expectOutcome(outcome, 'execute');
    await stopped;
  });

  test('after RetryInfo, and not before', async () => {
    const times: number[] = [];
    const told = errorWith({
      code: status.RESOURCE_EXHAUSTED,
      message: 'too many',
      reason: 'QUOTA_EXCEEDED',
      retryAfterMs: 150,
    });
    const details = told.metadata.get('grpc-status-details-bin')[0] as Buffer;
    const { address } = await startScriptedSession({
      frame: ({ calls: [call], answer }) => {
        times.push(performance.now());
        answer(times.length === 1 ? refusal(call!.id, details) : extended(call!.id));
      },
    });
    const { calls } = connected([address]);
    await calls.heartbeat(held);
    expect(times).toHaveLength(2);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(149);
    // What asks for more time than there is is told at once.
    times.length = 0;
    const from = performance.now();
    const error = await caught(calls.heartbeat(held, { deadlineMs: 100 }));
    expect(error).toMatchObject({ reason: 'QUOTA_EXCEEDED', retryAfterMs: 150 });
    expect(performance.now() - from).toBeLessThan(100);
  });

  test('an answer that is no', async () => {
    const { calls } = connected([one.address]);
    const before = await counterOf(one, 'lease_lost');
    const { fencingToken } = expectOutcome(await calls.begin(beginRequest('refused')), 'execute');
    const call = { ref: refOf('refused'), fencingToken: fencingToken + 1n, result: result('') };
    expect(await caught(calls.complete(call))).toMatchObject({ reason: 'LEASE_LOST', fromCoordinator: true });
    expect(await counterOf(one, 'lease_lost')).toBe(before + 1n);
  });
});

describe('several coordinators', () => {
  const completes = (coordinator: TestCoordinator) => counterOf(coordinator, 'begin.execute');

  test('calls go round', async () => {
    const before = [await completes(one), await completes(two)];
    const { calls } = connected([one.address, two.address]);
    for (let i = 0; i < 10; i += 1) await calls.begin(beginRequest(`round-${i}`));
    expect(await completes(one)).toBe(before[0]! + 5n);
    expect(await completes(two)).toBe(before[1]! + 5n);
  });

  test('a dead one is left out, and taken in again once it is back', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address, two.address]);
    proxy.refuse();
    proxy.cutAll();
    const from = performance.now();
    for (let i = 0; i < 50; i += 1) await calls.begin(beginRequest(`dead-${i}`));
    expect(performance.now() - from).toBeLessThan(2000);
    expect(proxy.counts.requests).toBe(0);

    proxy.pass();
    await until('it has calls again', async () => {
      await calls.lookup({ ref: refOf('dead-0') });
      return proxy.counts.requests > 0;
    });
    const before = proxy.counts.requests;
    for (let i = 0; i < 10; i += 1) await calls.lookup({ ref: refOf('dead-0') });
    expect(proxy.counts.requests).toBeGreaterThan(before);
  });

  test('a stalled one is overtaken, and left out from then on', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address, two.address]);
    // Both have a stream already.
    await calls.begin(beginRequest('stalled-a'));
    await calls.begin(beginRequest('stalled-b'));
    proxy.stall();
    const from = performance.now();
    expectOutcome(await calls.begin(beginRequest('stalled-c'), { deadlineMs: 1500 }), 'execute');
    expectOutcome(await calls.begin(beginRequest('stalled-d'), { deadlineMs: 1500 }), 'execute');
    const tookMs = performance.now() - from;
    // Half of the time there was for one of the two.
    expect(tookMs).toBeGreaterThanOrEqual(749);
    expect(tookMs).toBeLessThan(1400);
    const next = performance.now();
    for (let i = 0; i < 100; i += 1) await calls.lookup({ ref: refOf('stalled-c') });
    // All of them together are faster than one that waits its turn at the stalled one.
    expect(performance.now() - next).toBeLessThan(2500);
  });
});

describe('nobody there', () => {
  test('refused connections: UNAVAILABLE once the deadline has passed', async () => {
    const { calls } = connected([nowhere]);
    const from = performance.now();
    const error = await caught(calls.begin(beginRequest('nobody'), { deadlineMs: 400 }));
    expect(error).toMatchObject({ code: status.UNAVAILABLE, fromCoordinator: false });
    expect(performance.now() - from).toBeLessThan(1500);
    expect(calls.unreachableSince).toBeGreaterThanOrEqual(from);
  });

  test('a stalled connection: the same', async () => {
    const proxy = await proxied(one.address);
    proxy.stall();
    const { calls } = connected([proxy.address]);
    const from = performance.now();
    const error = await caught(calls.begin(beginRequest('nobody-stalled'), { deadlineMs: 400 }));
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(performance.now() - from).toBeLessThan(1500);
  });

  test('back again: the call under way goes through', async () => {
    const proxy = await proxied(one.address);
    proxy.refuse();
    const { calls } = connected([proxy.address]);
    const begun = calls.begin(beginRequest('back'));
    await until('it was refused', () => proxy.counts.refused > 0);
    proxy.pass();
    expectOutcome(await begun, 'execute');
    expect(calls.unreachableSince).toBeUndefined();
  });
});

function refusal(id: bigint, details: Buffer): Answer {
  return { id, response: { $case: 'status', value: Status.decode(details) } };
}

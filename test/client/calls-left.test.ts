import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  BeginResponse,
  FailRequest_Kind,
  type BatchRequest,
  type Call,
} from '../../src/gen/onceward/v1/coordinator.js';
import { Record, State } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, counterOf, expectOutcome, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { untilBlocked, withHolder } from '../support/holder.js';
import { putNamespace } from '../support/namespaces.js';
import { startScriptedCoordinator } from '../support/scripted-coordinator.js';
import { extended } from '../support/scripted-session.js';
import { connected, gate, proxied } from '../support/sdk.js';
import { until } from '../support/until.js';
import { duration } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

const busy = BeginResponse.fromPartial({ outcome: { $case: 'inProgress', value: {} } });
const gone = { code: status.UNAVAILABLE, message: 'gone', details: Buffer.alloc(0) };
/** Nobody listens there. */
const nowhere = '127.0.0.1:9';

describe('the caller leaves', () => {
  test('before the answer: CANCELLED at once, and the grant is given back', async () => {
    const { calls } = connected([one.address]);
    const key = 'left';
    const ref = refOf(key);
    const release = async (fencingToken: bigint) =>
      calls.fail({ ref, fencingToken, kind: FailRequest_Kind.RETRYABLE, status: gone });
    const first = expectOutcome(await calls.begin(beginRequest(key)), 'execute');
    await release(first.fencingToken);
    await withHolder(setup.database.url, async (holder) => {
      // The claim waits for this row.
      await holder.query('SELECT FROM onceward.record WHERE key = $1 FOR UPDATE', [key]);
      const leaving = new AbortController();
      const begun = calls.begin(beginRequest(key), {
        signal: leaving.signal,
        onLate: ({ outcome }) => {
          if (outcome?.$case === 'execute') void release(outcome.value.fencingToken);
        },
      });
      await untilBlocked(setup.database, 1);
      leaving.abort();
      expect(await caught(begun)).toMatchObject({ code: status.CANCELLED, message: 'the caller left' });
      await holder.rollback();
    });
    await until('it was granted and released', async () => {
      const { state, attempt } = await calls.lookup({ ref });
      return state === State.RELEASED && attempt === 2;
    });
    expectOutcome(await calls.begin(beginRequest(key)), 'execute');
  });

  test('while it waits for another execution: CANCELLED at once, and no grant is left without an owner', async () => {
    const { calls } = connected([one.address]);
    const ref = refOf('left-waiting');
    const release = async (fencingToken: bigint) =>
      calls.fail({ ref, fencingToken, kind: FailRequest_Kind.RETRYABLE, status: gone });
    const { fencingToken } = expectOutcome(await calls.begin(beginRequest(ref.key)), 'execute');
    const leaving = new AbortController();
    const before = await counterOf(one, 'begin.waited');
    const waiting = calls.begin(beginRequest(ref.key, { wait: duration(20_000) }), {
      signal: leaving.signal,
      onLate: ({ outcome }) => {
        if (outcome?.$case === 'execute') void release(outcome.value.fencingToken);
      },
    });
    await until('it waits', async () => (await counterOf(one, 'begin.waited')) > before);
    // Both at once, and either may be first: it is granted and told so, or it is not granted at all.
    const released = release(fencingToken);
    leaving.abort();
    expect((await caught(waiting)).code).toBe(status.CANCELLED);
    await released;
    const next = await calls.begin(beginRequest(ref.key, { wait: duration(20_000) }));
    expectOutcome(next, 'execute');
  });

  const live = { state: State.IN_PROGRESS, leaseLeft: duration(10_000) };
  const lapsed = { state: State.IN_PROGRESS, leaseLeft: duration(0) };
  const released = { state: State.RELEASED };
  test.each<[string, Partial<Record>[], string[]]>([
    ['is held: asks whether by itself', [live], ['lookup', 'begin']],
    ['is held a little later: the same', [released, live], ['lookup', 'lookup', 'begin']],
    ['has lapsed: leaves it to its owner', [lapsed, lapsed], ['lookup', 'lookup']],
    ['was released: leaves it free', [released, released], ['lookup', 'lookup']],
  ])('while it waits for a key that %s', async (_, records, expected) => {
    const asked: unknown[] = [];
    const waits = gate();
    const answerTo = ({ id, request }: Call) => {
      asked.push(request?.$case);
      if (request?.$case === 'heartbeat') return extended(id);
      if (request?.$case === 'begin') return { id, response: { $case: 'begin', value: busy } };
      const value = { ...Record.fromPartial({}), ...records.shift() };
      return { id, response: { $case: 'lookup', value } };
    };
    const coordinator = await startScriptedCoordinator({
      begin: () => {
        waits.open();
        return new Promise<never>(() => undefined);
      },
      // Frames come so where there are no Sessions.
      batch: ({ calls }: BatchRequest) => ({ answers: calls.map(answerTo) }),
    });
    onTestFinished(() => coordinator.stop());
    const { calls } = connected([coordinator.address]);
    const leaving = new AbortController();
    const options = { signal: leaving.signal, onLate: () => undefined };
    const waiting = calls.begin(beginRequest('k', { wait: duration(20_000) }), options);
    await waits.passed;
    leaving.abort();
    expect((await caught(waiting)).code).toBe(status.CANCELLED);
    await until('it was asked about', () => asked.length >= expected.length);
    // Whatever else was to be asked would have been by now.
    await calls.heartbeat({ ref: refOf('k'), fencingToken: 1n });
    expect(asked).toEqual([...expected, 'heartbeat']);
  });

  test('before it is sent: CANCELLED', async () => {
    const { calls } = connected([one.address]);
    const signal = AbortSignal.abort();
    expect((await caught(calls.begin(beginRequest('left-before'), { signal }))).code).toBe(status.CANCELLED);
    expect(await caught(calls.lookup({ ref: refOf('left-before') }))).toMatchObject({
      code: status.NOT_FOUND,
    });
  });
});

describe('many wait', () => {
  test('finishing calls pass while 1,500 Begins wait', async () => {
    const { calls } = connected([one.address]);
    const { fencingToken } = expectOutcome(await calls.begin(beginRequest('crowd')), 'execute');
    const before = await counterOf(one, 'begin.waited');
    const waiting = Array.from({ length: 1500 }, () =>
      calls.begin(beginRequest('crowd', { wait: duration(20_000) })),
    );
    // As many as one connection carries.
    await until('they wait', async () => (await counterOf(one, 'begin.waited')) >= before + 1000n);
    const from = performance.now();
    await calls.heartbeat({ ref: refOf('crowd'), fencingToken });
    // Behind those that wait it would have taken their 20 s.
    expect(performance.now() - from).toBeLessThan(5000);
    await calls.complete({ ref: refOf('crowd'), fencingToken, result: result('once') });
    for (const outcome of await Promise.all(waiting)) expectOutcome(outcome, 'replay');
  });
});

describe('large results', () => {
  test('of 3 MiB go both ways', async () => {
    const { calls } = connected([one.address]);
    await putNamespace(one, 'large', { maxResultBytes: 3 * 1024 * 1024 });
    const payload = Buffer.alloc(3 * 1024 * 1024, 'x');
    const refs = ['a', 'b', 'c'].map((key) => refOf(key, 'large'));
    await Promise.all(
      refs.map(async (ref) => {
        const begun = await calls.begin(beginRequest(ref.key, { ref }));
        const { fencingToken } = expectOutcome(begun, 'execute');
        await calls.complete({ ref, fencingToken, result: result(payload) });
      }),
    );
    const replays = await Promise.all(refs.map((ref) => calls.begin(beginRequest(ref.key, { ref }))));
    for (const replay of replays) {
      expect(expectOutcome(replay, 'replay').result?.payload?.equals(payload)).toBe(true);
    }
  });
});

describe('close', () => {
  test('ends calls under way as CANCELLED: framed, waiting and those about to be sent again', async () => {
    const proxy = await proxied(one.address);
    const { calls } = connected([proxy.address]);
    const { fencingToken } = expectOutcome(await calls.begin(beginRequest('closed')), 'execute');
    const before = await counterOf(one, 'begin.waited');
    const waiting = calls.begin(beginRequest('closed', { wait: duration(20_000) }));
    await until('it waits', async () => (await counterOf(one, 'begin.waited')) > before);
    proxy.stall();
    const framed = calls.heartbeat({ ref: refOf('closed'), fencingToken });
    const unreachable = connected([nowhere]);
    const resending = unreachable.calls.lookup({ ref: refOf('closed') });
    await until('it was tried', () => unreachable.calls.unreachableSince);
    const from = performance.now();
    calls.close();
    unreachable.close();
    const ended = [waiting, framed, resending, calls.begin(beginRequest('closed'))];
    for (const error of await Promise.all(ended.map(caught))) {
      expect(error).toMatchObject({ code: status.CANCELLED, message: 'the client was closed' });
    }
    expect(performance.now() - from).toBeLessThan(2000);
  });
});

import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import type { Calls } from '../../src/client/calls.js';
import type { Call } from '../../src/gen/onceward/v1/coordinator.js';
import { Record } from '../../src/gen/onceward/v1/record.js';
import { refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { errorWith } from '../support/scripted-coordinator.js';
import { extended, startScriptedSession, type ScriptedFrame } from '../support/scripted-session.js';
import { connected, gate } from '../support/sdk.js';
import { until } from '../support/until.js';

const held = { ref: refOf('k'), fencingToken: 1n };
const seconds = (answer: { leaseLeft?: { seconds: bigint } | undefined }) => answer.leaseLeft?.seconds;

describe('frames', () => {
  test('what one turn asks for rides in one frame', async () => {
    const frames: (readonly Call[])[] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer }) => {
        frames.push(calls);
        answer(...calls.map(({ id }) => extended(id)));
      },
    });
    const { calls } = connected([address]);
    await Promise.all(Array.from({ length: 300 }, () => calls.heartbeat(held)));
    expect(frames.map(({ length }) => length)).toEqual([300]);
    await calls.heartbeat(held);
    expect(frames.map(({ length }) => length)).toEqual([300, 1]);
  });

  test('have at most 1,000 calls', async () => {
    const lengths: number[] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer }) => {
        lengths.push(calls.length);
        answer(...calls.map(({ id }) => extended(id)));
      },
    });
    const { calls } = connected([address]);
    await Promise.all(Array.from({ length: 2500 }, () => calls.heartbeat(held)));
    expect(lengths.reduce((a, b) => a + b)).toBe(2500);
    expect(Math.max(...lengths)).toBe(1000);
  });

  test('answers find their calls in any order', async () => {
    const waiting: ScriptedFrame[] = [];
    const { address } = await startScriptedSession({ frame: (frame) => waiting.push(frame) });
    const { calls } = connected([address]);
    const answers = [calls.heartbeat(held), calls.heartbeat(held), calls.heartbeat(held)];
    const [frame] = await until('the frame', () => (waiting.length > 0 ? waiting : undefined));
    for (const { id } of [...frame!.calls].reverse()) frame!.answer(extended(id, id * 10n));
    const ids = frame!.calls.map(({ id }) => id);
    expect((await Promise.all(answers)).map(seconds)).toEqual(ids.map((id) => id * 10n));
  });

  test('finishing calls go first, and are not held back by others under way', async () => {
    const kinds: (string | undefined)[] = [];
    const lookups: ScriptedFrame[] = [];
    const { address } = await startScriptedSession({
      frame: (frame) => {
        kinds.push(...frame.calls.map(({ request }) => request?.$case));
        const beats = frame.calls.filter(({ request }) => request?.$case === 'heartbeat');
        if (beats.length > 0) frame.answer(...beats.map(({ id }) => extended(id)));
        lookups.push(frame);
      },
    });
    const { calls } = connected([address]);
    const looking = Array.from({ length: 2000 }, () =>
      calls.lookup({ ref: held.ref }).catch(() => undefined),
    );
    await calls.heartbeat(held);
    expect(kinds[0]).toBe('heartbeat');
    await until('as many lookups as may be under way', () => kinds.length === 1 + 768);
    await calls.heartbeat(held);
    expect(kinds).toHaveLength(1 + 768 + 1);
    calls.close();
    await Promise.all(looking);
  });
});

describe('more than is answered', () => {
  const roundTripMs = 700;
  const deadlineMs = 2500;

  /** A coordinator that answered two lookups slowly, and holds as many others back as may be under way. */
  async function busy(): Promise<{
    readonly calls: Calls;
    readonly sentKeys: readonly string[];
    readonly answerOne: () => void;
    /** How long its slowest answer took, ms. */
    readonly slowestMs: number;
  }> {
    const sentKeys: string[] = [];
    const held: (() => void)[] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer }) => {
        for (const { id, request } of calls) {
          const { key = '' } = (request?.$case === 'lookup' && request.value.ref) || {};
          sentKeys.push(key);
          const found = () => answer({ id, response: { $case: 'lookup', value: Record.create() } });
          if (key === 'slow') setTimeout(found, roundTripMs);
          else if (key === 'held') held.push(found);
          else found();
        }
      },
    });
    const { calls } = connected([address]);
    let slowestMs = 0;
    for (let i = 0; i < 2; i += 1) {
      const startTime = performance.now();
      await calls.lookup({ ref: refOf('slow') });
      slowestMs = Math.max(slowestMs, performance.now() - startTime);
    }
    for (let i = 0; i < 768; i += 1) calls.lookup({ ref: refOf('held') }).catch(() => undefined);
    await until('as many as may be under way', () => held.length === 768);
    return { calls, sentKeys, answerOne: () => held.pop()?.(), slowestMs };
  }

  test('who waited until no answer can come in time is not sent, and told so; who comes after is', async () => {
    const { calls, sentKeys, answerOne, slowestMs } = await busy();
    const startTime = performance.now();
    const late = caught(calls.lookup({ ref: refOf('late') }, { deadlineMs }));
    await until('it has waited long', () => performance.now() - startTime > slowestMs);
    const next = calls.lookup({ ref: refOf('next') }, { deadlineMs });
    answerOne();
    await next;
    const error = await late;
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED, fromCoordinator: false });
    expect(error.message).toMatch(/^not sent: an answer takes \d+ ms, and too many calls were before it$/);
    expect(sentKeys).not.toContain('late');
  });

  test('of a coordinator that does not answer none is too late', async () => {
    const { calls } = await busy();
    const late = caught(calls.lookup({ ref: refOf('late') }, { deadlineMs }));
    let ended = false;
    void late.then(() => (ended = true));
    // Each call that is made is another look at those that wait.
    await until('its time is over', () => {
      calls.lookup({ ref: refOf('other') }).catch(() => undefined);
      return ended;
    });
    expect(await late).toMatchObject({ code: status.UNAVAILABLE });
  });

  test('who has time for another try waits again', async () => {
    const { calls, sentKeys, answerOne } = await busy();
    const startTime = performance.now();
    // A try takes 3 s of it.
    const patient = calls.lookup({ ref: refOf('patient') }, { deadlineMs: 8000 });
    await until('its first try is late', () => performance.now() - startTime > 3000 - 2 * roundTripMs);
    answerOne();
    await patient;
    expect(sentKeys.filter((key) => key === 'patient')).toHaveLength(1);
  });
});

describe('a stream that ends', () => {
  test('with an error: its calls are sent again on another', async () => {
    const seen: Call['request'][] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer, end }) => {
        seen.push(...calls.map(({ request }) => request));
        if (seen.length === 1) end(errorWith({ code: status.CANCELLED, message: 'reset by a proxy' }));
        else answer(...calls.map(({ id }) => extended(id)));
      },
    });
    const { calls } = connected([address]);
    await calls.heartbeat(held);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toEqual(seen[0]);
  });

  test('in order: what was not answered is sent again', async () => {
    const seen: Call['request'][] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer, end }) => {
        seen.push(...calls.map(({ request }) => request));
        const [first] = calls;
        answer(extended(first!.id));
        if (seen.length === 2) end();
      },
    });
    const { calls } = connected([address]);
    await Promise.all([calls.heartbeat(held), calls.heartbeat({ ...held, fencingToken: 2n })]);
    expect(seen).toHaveLength(3);
    expect(seen[1]).not.toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[1]);
  });

  test('refused for good: its calls fail at once', async () => {
    const { address } = await startScriptedSession({
      frame: ({ end }) => {
        end(errorWith({ code: status.UNAUTHENTICATED, message: 'who are you?' }));
      },
    });
    const { calls } = connected([address]);
    const from = performance.now();
    expect(await caught(calls.heartbeat(held))).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(performance.now() - from).toBeLessThan(5000);
  });
});

describe('without streams', () => {
  test('the same frames go by Batch', async () => {
    const lengths: number[] = [];
    const { address } = await startScriptedSession({
      batch: ({ calls }) => {
        lengths.push(calls.length);
        return calls.map(({ id }) => extended(id));
      },
    });
    const { calls } = connected([address]);
    await Promise.all(Array.from({ length: 50 }, () => calls.heartbeat(held)));
    expect(lengths.reduce((a, b) => a + b)).toBe(50);
    lengths.length = 0;
    await Promise.all(Array.from({ length: 50 }, () => calls.heartbeat(held)));
    expect(lengths).toEqual([50]);
  });

  test('transport unary never opens one', async () => {
    let streams = 0;
    const { address } = await startScriptedSession({
      frame: () => (streams += 1),
      batch: ({ calls }) => calls.map(({ id }) => extended(id)),
    });
    const { calls } = connected([address], { transport: 'unary' });
    await calls.heartbeat(held);
    expect(streams).toBe(0);
  });
});

describe('bytes', () => {
  test('large payloads are spread over frames below the message bound', async () => {
    const frames: number[] = [];
    const { address } = await startScriptedSession({
      frame: ({ calls, answer }) => {
        frames.push(calls.length);
        answer(
          ...calls.map(({ id }) => ({
            id,
            response: { $case: 'complete' as const, value: { already: false, expireTime: undefined } },
          })),
        );
      },
    });
    const { calls } = connected([address]);
    const payload = Buffer.alloc(1024 * 1024);
    await Promise.all(Array.from({ length: 10 }, () => calls.complete({ ...held, result: result(payload) })));
    // The server would have refused a frame of 4 MiB.
    expect(frames).toEqual([3, 3, 3, 1]);
  });

  test('a call that fits into no message is refused here, and harms no other', async () => {
    const answered = gate<ScriptedFrame>();
    const { address } = await startScriptedSession({ frame: answered.open });
    const { calls } = connected([address]);
    const other = calls.heartbeat(held);
    const large = { ...held, result: result(Buffer.alloc(4 * 1024 * 1024)) };
    const error = await caught(calls.complete(large));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT, fromCoordinator: false });
    expect(error.message).toMatch(/^the complete has 41943\d\d bytes, and a message may have 4194272$/);
    const { calls: seen, answer } = await answered.passed;
    answer(extended(seen[0]!.id));
    await other;
  });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  BeginRequest,
  SessionRequest,
  type Answer,
  type Call,
} from '../../src/gen/onceward/v1/coordinator.js';
import { beginRequest, counterOf, execute, refOf, result } from '../support/calls.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { openSession, type TestSession } from '../support/session.js';
import { until } from '../support/until.js';
import { duration } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
const open: TestSession[] = [];
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterEach(() => {
  for (const session of open.splice(0)) session.close();
});
afterAll(() => setup.stop());

function session(address = one.address): TestSession {
  const opened = openSession(address);
  open.push(opened);
  return opened;
}

function beginCall(id: number, key: string, waitMs = 0, namespace = 'test'): Call {
  const more = { wait: duration(waitMs), ref: refOf(key, namespace) };
  return {
    id: BigInt(id),
    request: { $case: 'begin', value: BeginRequest.fromPartial(beginRequest(key, more)) },
  };
}

function outcomeOf(answer: Answer | undefined): string | undefined {
  const response = answer?.response;
  if (response?.$case === 'status') return response.value.message;
  return response?.$case === 'begin' ? response.value.outcome?.$case : response?.$case;
}

const complete = (key: string, fencingToken: bigint, namespace = 'test') =>
  one.coordinator.complete({ ref: refOf(key, namespace), fencingToken, result: result('done') });
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => BigInt(from + i));
const waited = async () => Number(await counterOf(one, 'begin.waited'));

describe('Session', () => {
  test('many calls in one frame each have their answer', async () => {
    const stream = session();
    // The policy has just changed: a thousand calls that miss it must not each read it.
    await putNamespace(one, 'test');
    stream.send(...Array.from({ length: 1000 }, (_, i) => beginCall(i, `frame-${i}`)));
    const answers = await stream.answersTo(ids(1000));
    expect(new Set(answers.map(outcomeOf))).toEqual(new Set(['execute']));
    expect(stream.answers).toHaveLength(1000);
    // They ride together.
    expect(stream.frames.length).toBeLessThan(500);
  });
  test('a frame without calls is nothing', async () => {
    const stream = session();
    stream.send();
    stream.send(beginCall(1, 'after-nothing'));
    expect(outcomeOf((await stream.answersTo([1n]))[0])).toBe('execute');
  });
  test('an answer does not wait for those before it', async () => {
    const { fencingToken } = await execute(one, 'held');
    const stream = session();
    stream.send(beginCall(1, 'held', 20_000), beginCall(2, 'bad key'), beginCall(3, 'free'));
    await stream.answersTo([2n, 3n]);
    expect(stream.answers.map(({ id }) => id)).not.toContain(1n);
    await complete('held', fencingToken);
    expect(outcomeOf((await stream.answersTo([1n]))[0])).toBe('replay');
  });
  test('after a half-close what is under way is still answered, then the stream ends in order', async () => {
    const { fencingToken } = await execute(one, 'half-closed');
    const before = await waited();
    const stream = session();
    stream.send(beginCall(1, 'half-closed', 20_000));
    stream.halfClose();
    await until('the waiter', async () => (await waited()) === before + 1);
    expect(stream.ended()).toBeUndefined();
    await complete('half-closed', fencingToken);
    await until('the end', () => stream.ended());
    expect(stream.answers.map(outcomeOf)).toEqual(['replay']);
    expect(stream.ended()).toBe(true);
  });
  test('at most 1024 calls are worked on at once; the rest follow, and nothing is lost', async () => {
    const { fencingToken } = await execute(one, 'crowded');
    const before = await waited();
    const stream = session();
    for (let frame = 0; frame < 4; frame += 1) {
      stream.send(...Array.from({ length: 1000 }, (_, i) => beginCall(frame * 1000 + i, 'crowded', 25_000)));
    }
    stream.send(beginCall(5000, 'behind-the-crowd'));
    await until('all waiters the bound allows', async () => (await waited()) >= before + 1024);
    // A unary call goes all the way; by then the frames behind would have been taken too.
    expect(await waited()).toBe(before + 1024);
    expect(stream.answers).toEqual([]);
    await complete('crowded', fencingToken);
    const answers = await stream.answersTo([...ids(4000), 5000n]);
    expect(answers.slice(0, 4000).every((answer) => outcomeOf(answer) === 'replay')).toBe(true);
    expect(outcomeOf(answers[4000])).toBe('execute');
    expect(stream.answers).toHaveLength(4001);
  });
  test('a client that leaves takes its waits with it, and nothing else', async () => {
    await execute(one, 'left');
    const before = await waited();
    const leaver = session();
    const stayer = session();
    leaver.send(beginCall(1, 'left', 25_000));
    await until('the waiter', async () => (await waited()) === before + 1);
    leaver.cancel();
    await until('the end', () => leaver.ended());
    stayer.send(beginCall(1, 'left'));
    expect(outcomeOf((await stayer.answersTo([1n]))[0])).toBe('inProgress');
  });
  test('answers too large for one message come in several', async () => {
    await putNamespace(one, 'large', { maxResultBytes: 3 * 1024 * 1024 });
    for (const i of [1, 2, 3]) {
      const ref = refOf(`large-${i}`, 'large');
      const { fencingToken } = await execute(one, ref.key, { ref });
      await one.coordinator.complete({ ref, fencingToken, result: result(Buffer.alloc(3_000_000)) });
    }
    const stream = session();
    stream.send(...[1, 2, 3].map((i) => beginCall(i, `large-${i}`, 0, 'large')));
    expect((await stream.answersTo([1n, 2n, 3n])).map(outcomeOf)).toEqual(['replay', 'replay', 'replay']);
    expect(stream.frames).toHaveLength(3);
  });
  test('while the server drains, waits are answered and the stream ends in order', async () => {
    const two = await startCoordinator(setup.database.url);
    await execute(one, 'draining');
    const stream = session(two.address);
    stream.send(beginCall(1, 'draining', 25_000), beginCall(2, 'drain-warm'));
    await stream.answersTo([2n]);
    await two.stop();
    await until('the end', () => stream.ended());
    expect(stream.ended()).toBe(true);
    expect(outcomeOf(stream.answers.find(({ id }) => id === 1n))).toBe('inProgress');
  });
});

describe('a frame the session can not take ends the stream, and only it', () => {
  const broken = [
    [
      'with more than 1000 calls',
      SessionRequest.encode({
        calls: Array.from({ length: 1001 }, (_, i) => beginCall(i, `over-${i}`)),
      }).finish(),
      'calls',
    ],
    ['that is no protobuf', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), undefined],
    [
      'cut off',
      SessionRequest.encode({ calls: [beginCall(1, 'over-cut')] })
        .finish()
        .subarray(0, -3),
      undefined,
    ],
  ] as const;
  test.each(broken)('%s', async (_, bytes, field) => {
    const bystander = session();
    const stream = session();
    stream.send(beginCall(1, 'before'));
    await stream.answersTo([1n]);
    stream.sendBytes(bytes);
    const error = await until('the end', () => stream.ended());
    expect(error).toMatchObject({ code: 3, reason: 'REQUEST_INVALID' });
    if (error !== true)
      expect(error.violations.map((violation) => violation.field)).toEqual(field ? [field] : []);
    bystander.send(beginCall(1, 'bystander'));
    await bystander.answersTo([1n]);
    expect(await setup.database.query(`SELECT FROM onceward.record WHERE key LIKE 'over-%'`)).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BeginRequest, type CompleteRequest } from '../../src/gen/onceward/v1/coordinator.js';
import type { Result } from '../../src/gen/onceward/v1/record.js';
import {
  beginRequest,
  execute,
  expectOutcome,
  refOf,
  result,
  resultWithoutPayload,
} from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { openSession } from '../support/session.js';
import { statusOf } from '../support/statuses.js';
import { duration, retention } from '../support/wire-time.js';

const second = 1000;
const day = 24 * 3600 * second;
let setup: TestSetup;
let one: TestCoordinator;
/** Finished none of the keys: what it answers was read, and then kept. */
let other: TestCoordinator;
/** Has no replay cache: what it answers was read. */
let uncached: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, other] = setup.coordinators as [TestCoordinator, TestCoordinator];
  uncached = await startCoordinator(setup.database.url, { replayCacheBytes: 0 });
  await putNamespace(one, 'small', { maxResultBytes: 10, tombstoneRetention: retention(day) });
  await putNamespace(one, 'bounded', {
    resultRetention: retention(10 * second),
    maxResultRetention: retention(Infinity),
  });
});
afterAll(async () => {
  await uncached.stop();
  await setup.stop();
});

async function finished(key: string, given: Result, more: Partial<CompleteRequest> = {}, namespace = 'test') {
  const ref = refOf(key, namespace);
  const granted = await execute(one, key, { ref });
  const { fencingToken } = granted;
  return one.coordinator.complete({ ref, fencingToken, result: given, ...more });
}

async function replays(key: string, namespace = 'test') {
  const request = beginRequest(key, { ref: refOf(key, namespace) });
  const read = expectOutcome(await uncached.coordinator.begin(request), 'replay');
  // In frames the answer is encoded once for all.
  const begin = { $case: 'begin', value: BeginRequest.fromPartial(request) } as const;
  for (const { coordinator, address } of [one, other]) {
    for (let i = 0; i < 3; i += 1) {
      expect(expectOutcome(await coordinator.begin(request), 'replay')).toEqual(read);
    }
    const session = openSession(address);
    session.send({ id: 1n, request: begin }, { id: 2n, request: begin });
    for (const { response } of await session.answersTo([1n, 2n])) {
      expect(response).toEqual({ $case: 'begin', value: { outcome: { $case: 'replay', value: read } } });
    }
    session.close();
  }
  return read;
}

describe('a replay', () => {
  test('gives back every byte, and everything else of the answer', async () => {
    const everything: Result = {
      payload: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
      contentType: 'application/grpc+proto',
      status: statusOf(0, 'fine ü', Buffer.from([0, 8, 255])),
      initialMetadata: [
        { name: 'b', value: Buffer.from('1') },
        { name: 'a', value: Buffer.from('2') },
        { name: 'b', value: Buffer.from('3') },
      ],
      trailingMetadata: [{ name: 'raw-bin', value: Buffer.from([0, 1, 254, 255]) }],
      payloadOmitted: false,
    };
    const { expireTime } = await finished('bytes', everything);
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const replay = await replays('bytes');
    expect(replay).toMatchObject({ result: everything, expireTime, attempts: 1, traceparent: '' });
    expect(replay.finishTime?.getTime()).toBe((expireTime?.getTime() ?? 0) - day);

    const { fencingToken } = await execute(one, 'traced', { traceparent });
    await one.coordinator.complete({ ref: refOf('traced'), fencingToken, result: everything });
    expect((await replays('traced')).traceparent).toBe(traceparent);
  });
  test('tells an empty payload from none, and none from no result', async () => {
    const none = resultWithoutPayload();
    await finished('empty', result(''));
    await finished('none', none);
    const ref = refOf('nothing');
    const { fencingToken } = await execute(one, 'nothing');
    await one.coordinator.complete({ ref, fencingToken });
    expect((await replays('empty')).result?.payload).toEqual(Buffer.alloc(0));
    expect((await replays('none')).result).toEqual({ ...none, payload: undefined });
    expect((await replays('nothing')).result).toMatchObject({ contentType: '', payload: undefined });
  });
  test('of the largest result', async () => {
    const payload = Buffer.alloc(3 * 1024 * 1024, 7);
    await putNamespace(one, 'large', { maxResultBytes: payload.length });
    await finished('largest', result(payload), {}, 'large');
    const request = beginRequest('largest', { ref: refOf('largest', 'large') });
    for (const coordinator of [uncached, one, one]) {
      const replay = expectOutcome(await coordinator.coordinator.begin(request), 'replay');
      // Not by toEqual, which looks at each of three million bytes by itself.
      expect(replay.result?.payload?.equals(payload)).toBe(true);
    }
    const tooLarge = finished('larger', result(Buffer.alloc(payload.length + 1)), {}, 'large');
    expect(await violatedFields(tooLarge)).toEqual(['result.payload']);
  });
});

describe('a payload over the limit of its namespace', () => {
  test('is not kept, everything else is, and it never runs again', async () => {
    const given = { ...result('12345678901'), trailingMetadata: [{ name: 'a', value: Buffer.from('1') }] };
    expect((await finished('over', given, {}, 'small')).already).toBe(false);
    expect((await replays('over', 'small')).result).toEqual({
      ...given,
      payload: undefined,
      payloadOmitted: true,
    });
    const [row] = await setup.database.query(`SELECT result_payload FROM onceward.record WHERE key = 'over'`);
    expect(row).toEqual({ result_payload: null });
  });
  test('and the Complete may be sent again, with the payload it had', async () => {
    const ref = refOf('over-again', 'small');
    const { fencingToken } = await execute(one, 'over-again', { ref });
    const send = (payload: string) =>
      one.coordinator.complete({ ref, fencingToken, result: result(payload) });
    await send('12345678901');
    expect((await send('12345678901')).already).toBe(true);
    expect(await caught(send('12345678902'))).toMatchObject({ reason: 'RESULT_CONFLICT' });
  });
  test('a payload at the limit is kept; an owner may leave it out itself', async () => {
    await finished('at-limit', result('1234567890'), {}, 'small');
    expect((await replays('at-limit', 'small')).result?.payloadOmitted).toBe(false);
    const left = resultWithoutPayload();
    await finished('left-out', { ...left, payloadOmitted: true });
    expect((await replays('left-out')).result?.payloadOmitted).toBe(true);
    const both = finished('both', { ...result('x'), payloadOmitted: true });
    expect(await violatedFields(both)).toEqual(['result.payload_omitted']);
  });
});

describe('retention', () => {
  const keptFor = async (key: string, namespace: string) => {
    const [row] = await setup.database.query<{ result: number; record: number }>(
      `SELECT extract(epoch FROM result_expire_time - finish_time)::float8 AS result,
         extract(epoch FROM record_expire_time - finish_time)::float8 AS record
       FROM onceward.record WHERE key = $1 AND namespace = $2 AND result_expire_time <> 'infinity'`,
      [key, namespace],
    );
    return row;
  };
  test("is the namespace's, then its tombstone's", async () => {
    await finished('plain', result('x'), {}, 'bounded');
    expect(await keptFor('plain', 'bounded')).toEqual({ result: 10, record: 10 });
    await finished('with-tombstone', result('x'), {}, 'small');
    expect(await keptFor('with-tombstone', 'small')).toEqual({ result: 86_400, record: 2 * 86_400 });
  });
  test('may be longer at the word of Begin, and of Complete over Begin', async () => {
    const ref = refOf('asked', 'bounded');
    const granted = await execute(one, 'asked', { ref, resultRetention: retention(20 * second) });
    await one.coordinator.complete({ ref, fencingToken: granted.fencingToken });
    expect(await keptFor('asked', 'bounded')).toMatchObject({ result: 20 });
    const again = refOf('asked-again', 'bounded');
    const second_ = await execute(one, 'asked-again', {
      ref: again,
      resultRetention: retention(20 * second),
    });
    await one.coordinator.complete({
      ref: again,
      fencingToken: second_.fencingToken,
      resultRetention: retention(40 * second),
    });
    expect(await keptFor('asked-again', 'bounded')).toMatchObject({ result: 40 });
  });
  test('for ever has no end in any answer', async () => {
    const answer = await finished(
      'for-ever',
      result('x'),
      { resultRetention: retention(Infinity) },
      'bounded',
    );
    expect(answer.expireTime).toBeUndefined();
    expect((await replays('for-ever', 'bounded')).expireTime).toBeUndefined();
    const record = await one.coordinator.lookup({ ref: refOf('for-ever', 'bounded') });
    expect(record).toMatchObject({ expireTime: undefined, recordExpireTime: undefined });
  });
  test('outside the bounds of the namespace is refused, by Begin and by Complete', async () => {
    const ref = refOf('outside');
    const { fencingToken } = await execute(one, 'outside');
    for (const resultRetention of [
      retention(1),
      retention(day - 1),
      retention(30 * day + 1),
      retention(Infinity),
    ]) {
      const begin = one.coordinator.begin(beginRequest('outside-begin', { resultRetention }));
      const complete = one.coordinator.complete({ ref, fencingToken, resultRetention });
      expect(await violatedFields(begin)).toEqual(['result_retention']);
      expect(await violatedFields(complete)).toEqual(['result_retention']);
    }
    expect(await setup.database.query(`SELECT FROM onceward.record WHERE key = 'outside-begin'`)).toEqual([]);
  });
  test('asked by Begin is lengthened by a policy that is longer at the finish', async () => {
    const put = (ms: number) =>
      putNamespace(one, 'lengthened', {
        resultRetention: retention(ms),
        maxResultRetention: retention(day),
        defaultLease: duration(second),
      });
    await put(second);
    const ref = refOf('lengthened', 'lengthened');
    const { fencingToken } = await execute(one, '', { ref, resultRetention: retention(2 * second) });
    await put(day);
    const { expireTime } = await one.coordinator.complete({ ref, fencingToken, result: result('x') });
    const { finishTime } = await replays('lengthened', 'lengthened');
    expect((expireTime?.getTime() ?? 0) - (finishTime?.getTime() ?? 0)).toBe(day);
  });
  test('is fixed at the finish: a later policy changes no promise', async () => {
    const put = (ms: number) =>
      putNamespace(one, 'changing', { resultRetention: retention(ms), defaultLease: duration(second) });
    await put(60 * second);
    const before = await finished('promised', result('x'), {}, 'changing');
    await put(second);
    expect((await replays('promised', 'changing')).expireTime).toEqual(before.expireTime);
  });
});

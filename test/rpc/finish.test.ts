import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OnLapse, State } from '../../src/gen/onceward/v1/record.js';
import {
  beginRequest,
  execute,
  expectOutcome,
  refOf,
  result,
  resultWithoutPayload,
} from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { final, retryable, statusOf } from '../support/statuses.js';
import { expireRecord, lapse } from '../support/time-travel.js';
import { duration, millisecondsOf } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

const complete = (key: string, fencingToken: bigint, payload = 'done') =>
  one.coordinator.complete({ ref: refOf(key), fencingToken, result: result(payload) });
const lookup = (key: string) => one.coordinator.lookup({ ref: refOf(key) });
const tokenOf = async (key: string, more = {}) => (await execute(one, key, more)).fencingToken;

describe('Complete', () => {
  test('sent again with the same result is `already`; with another it conflicts', async () => {
    const token = await tokenOf('twice');
    const first = await complete('twice', token);
    expect(first.already).toBe(false);
    expect(first.expireTime).toBeInstanceOf(Date);
    expect(await complete('twice', token)).toEqual({ already: true, expireTime: first.expireTime });
    expect(await caught(complete('twice', token, 'other'))).toMatchObject({
      code: 10,
      reason: 'RESULT_CONFLICT',
    });
    expect(await caught(one.coordinator.fail(final(refOf('twice'), token)))).toMatchObject({
      reason: 'RESULT_CONFLICT',
      metadata: { state: 'COMPLETED' },
    });
    const { result: kept } = expectOutcome(await one.coordinator.begin(beginRequest('twice')), 'replay');
    expect(kept?.payload).toEqual(Buffer.from('done'));
  });
  test('a payload left out by its owner is another result than none', async () => {
    const token = await tokenOf('left-out');
    const ref = refOf('left-out');
    const absent = resultWithoutPayload();
    await one.coordinator.complete({ ref, fencingToken: token, result: { ...absent, payloadOmitted: true } });
    expect(
      await caught(one.coordinator.complete({ ref, fencingToken: token, result: absent })),
    ).toMatchObject({ reason: 'RESULT_CONFLICT' });
  });
  test('is accepted after the lease lapsed, if nobody took over', async () => {
    const token = await tokenOf('late');
    await lapse(setup.database, 'late');
    expect((await complete('late', token)).already).toBe(false);
    const parkable = await tokenOf('late-park', { onLapse: OnLapse.PARK });
    await lapse(setup.database, 'late-park');
    expect((await complete('late-park', parkable)).already).toBe(false);
  });
  test('is refused once another attempt took over, or the record was parked', async () => {
    const old = await tokenOf('superseded');
    await lapse(setup.database, 'superseded');
    const token = await tokenOf('superseded');
    const finishing = () => [
      complete('superseded', old),
      one.coordinator.fail(final(refOf('superseded'), old)),
      one.coordinator.fail(retryable(refOf('superseded'), old)),
      one.coordinator.heartbeat({ ref: refOf('superseded'), fencingToken: old }),
    ];
    const allLost = async () => {
      for (const error of await Promise.all(finishing().map(caught))) {
        expect(error).toMatchObject({ code: 10, reason: 'LEASE_LOST' });
      }
    };
    await allLost();
    await complete('superseded', token);
    await allLost();

    const parked = await tokenOf('parked', { onLapse: OnLapse.PARK });
    await lapse(setup.database, 'parked');
    expectOutcome(await one.coordinator.begin(beginRequest('parked')), 'indeterminate');
    expect(await caught(complete('parked', parked))).toMatchObject({ reason: 'LEASE_LOST' });
    expect((await lookup('parked')).state).toBe(State.INDETERMINATE);
  });
  test('needs a record', async () => {
    expect(await caught(complete('never-begun', 1n))).toMatchObject({ code: 5, reason: 'RECORD_NOT_FOUND' });
    const token = await tokenOf('expired');
    await expireRecord(setup.database, 'expired');
    expect(await caught(complete('expired', token))).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
  });
});

describe('Fail', () => {
  test('FINAL is stored, `already` the second time, and replayed with status, details and trailing metadata', async () => {
    const token = await tokenOf('final');
    const ref = refOf('final');
    const failure = final(ref, token, {
      status: statusOf(9, 'no funds', Buffer.from([8, 9])),
      trailingMetadata: [{ name: 'x-bin', value: Buffer.from([0, 255]) }],
    });
    expect(await one.coordinator.fail(failure)).toEqual({ already: false, state: State.FAILED });
    expect(await one.coordinator.fail(failure)).toEqual({ already: true, state: State.FAILED });
    expect(await caught(one.coordinator.fail({ ...failure, status: statusOf(5, 'x') }))).toMatchObject({
      reason: 'RESULT_CONFLICT',
    });
    expect(await caught(complete('final', token))).toMatchObject({ reason: 'RESULT_CONFLICT' });
    const { result: replayed } = expectOutcome(await one.coordinator.begin(beginRequest('final')), 'replay');
    expect(replayed).toEqual({
      payload: undefined,
      contentType: '',
      status: failure.status,
      initialMetadata: [],
      trailingMetadata: failure.trailingMetadata,
      payloadOmitted: false,
    });
  });
  test('RETRYABLE frees the key at once and keeps the last error', async () => {
    const token = await tokenOf('retryable');
    const ref = refOf('retryable');
    const status = statusOf(14, 'db down', Buffer.from([1, 2]));
    const failure = retryable(ref, token, { status, retryAfter: duration(1500) });
    expect(await one.coordinator.fail(failure)).toEqual({ already: false, state: State.RELEASED });
    expect(await one.coordinator.fail(failure)).toEqual({ already: true, state: State.RELEASED });
    const { lastError, state } = await lookup('retryable');
    expect(state).toBe(State.RELEASED);
    expect(lastError).toEqual({ status, retryAfter: duration(1500), time: expect.any(Date) as Date });
    // It stays on the record through the attempts that follow, and after the result.
    const next = await execute(one, 'retryable');
    expect((await lookup('retryable')).lastError).toEqual(lastError);
    await complete('retryable', next.fencingToken);
    expect((await lookup('retryable')).lastError).toEqual(lastError);
  });
  test('of a lease given back, nothing else is accepted', async () => {
    const token = await tokenOf('gone-back');
    await one.coordinator.fail(retryable(refOf('gone-back'), token));
    const calls = [
      complete('gone-back', token),
      one.coordinator.fail(final(refOf('gone-back'), token)),
      one.coordinator.heartbeat({ ref: refOf('gone-back'), fencingToken: token }),
    ];
    for (const error of await Promise.all(calls.map(caught))) {
      expect(error).toMatchObject({ reason: 'LEASE_LOST', metadata: { state: 'RELEASED' } });
    }
  });
});

describe('Heartbeat', () => {
  const beat = (key: string, fencingToken: bigint, more = {}) =>
    one.coordinator.heartbeat({ ref: refOf(key), fencingToken, ...more });
  const leaseOf = async (key: string) => millisecondsOf((await lookup(key)).leaseLeft);

  test('extends a lease, and never shortens it', async () => {
    const token = await tokenOf('beat', { lease: duration(1000) });
    expect((await beat('beat', token, { lease: duration(60_000) })).leaseLeft).toEqual(duration(60_000));
    expect(await leaseOf('beat')).toBeGreaterThan(30_000);
    await beat('beat', token, { lease: duration(200) });
    expect(await leaseOf('beat')).toBeGreaterThan(30_000);
    const plain = await tokenOf('beat-default', { lease: duration(100) });
    expect((await beat('beat-default', plain)).leaseLeft).toEqual(duration(30_000));
  });
  test('revives a lapsed lease that nobody took over', async () => {
    const token = await tokenOf('revived');
    await lapse(setup.database, 'revived');
    await beat('revived', token);
    expectOutcome(await one.coordinator.begin(beginRequest('revived')), 'inProgress');
  });
  test('a resent one brings no older checkpoint back', async () => {
    const token = await tokenOf('ordered');
    const stored = async () => {
      const [row] = await setup.database.query<{ checkpoint: Buffer }>(
        `SELECT checkpoint FROM onceward.record WHERE key = 'ordered'`,
      );
      return row?.checkpoint.toString();
    };
    const send = (text: string, checkpointSequence: bigint) =>
      beat('ordered', token, { checkpoint: Buffer.from(text), checkpointSequence });
    await send('five', 5n);
    await send('four', 4n);
    expect(await stored()).toBe('five');
    await send('five again', 5n);
    expect(await stored()).toBe('five again');
    await beat('ordered', token, { checkpointSequence: 9n });
    await send('six', 6n);
    expect(await stored()).toBe('six');
    await lapse(setup.database, 'ordered');
    const next = await execute(one, 'ordered');
    // Numbers order the checkpoints of one attempt; the next attempt counts anew.
    await beat('ordered', next.fencingToken, { checkpoint: Buffer.from('mine'), checkpointSequence: 0n });
    expect(await stored()).toBe('mine');
  });
  test('stops the owner of a finished operation', async () => {
    const token = await tokenOf('over');
    await complete('over', token);
    expect(await caught(beat('over', token))).toMatchObject({
      reason: 'LEASE_LOST',
      metadata: { state: 'COMPLETED' },
    });
  });
});

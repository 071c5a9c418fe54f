import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { uuidV7 } from '../../src/core/key.js';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { expireRecord, expireResult, lapse } from '../support/time-travel.js';
import { duration, millisecondsOf, retention } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

const begin = (...given: Parameters<typeof beginRequest>) => one.coordinator.begin(beginRequest(...given));

async function completeAs(key: string, payload: string): Promise<bigint> {
  const { fencingToken } = await execute(one, key);
  await one.coordinator.complete({ ref: refOf(key), fencingToken, result: result(payload) });
  return fencingToken;
}

describe('execute', () => {
  test('a new key is granted, with the lease asked for', async () => {
    const granted = await execute(one, 'new-1', { lease: duration(1500) });
    expect(granted).toEqual({
      fencingToken: granted.fencingToken,
      attempt: 1,
      lease: duration(1500),
      checkpoint: undefined,
      takeover: false,
    });
    expect(granted.fencingToken).toBeGreaterThan(0n);
    expect((await execute(one, 'new-2')).lease).toEqual(duration(30_000));
  });
  test('the same attempt_id is granted the same again, with the time that is left', async () => {
    const attemptId = randomUUID();
    const first = await execute(one, 'repeated', { attemptId });
    await setup.database.query(
      `UPDATE onceward.record SET lease_expire_time = now() + interval '5 s' WHERE key = 'repeated'`,
    );
    const again = await execute(one, 'repeated', { attemptId });
    expect(again).toEqual({ ...first, lease: again.lease });
    expect(millisecondsOf(again.lease)).toBeLessThanOrEqual(5000);
    expect(millisecondsOf(again.lease)).toBeGreaterThan(0);
  });
  test('a lapsed lease is taken over: larger token, next attempt, the last checkpoint', async () => {
    const first = await execute(one, 'lapsed');
    const checkpoint = Buffer.from([0, 255, 1]);
    await one.coordinator.heartbeat({ ref: refOf('lapsed'), fencingToken: first.fencingToken, checkpoint });
    await lapse(setup.database, 'lapsed');
    const attemptId = randomUUID();
    const second = await execute(one, 'lapsed', { attemptId });
    expect(second).toMatchObject({ attempt: 2, takeover: true, checkpoint });
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    // The repeated grant says the same, also that it is a takeover.
    expect(await execute(one, 'lapsed', { attemptId })).toEqual({
      ...second,
      lease: expect.anything() as unknown,
    });
  });
  test('an empty checkpoint is not an absent one', async () => {
    const { fencingToken } = await execute(one, 'empty-checkpoint');
    const ref = refOf('empty-checkpoint');
    await one.coordinator.heartbeat({ ref, fencingToken, checkpoint: Buffer.alloc(0) });
    await lapse(setup.database, 'empty-checkpoint');
    expect((await execute(one, 'empty-checkpoint')).checkpoint).toEqual(Buffer.alloc(0));
  });
  test('a lease given back is granted again at once, and is no takeover', async () => {
    const { fencingToken } = await execute(one, 'given-back');
    const ref = refOf('given-back');
    await one.coordinator.heartbeat({ ref, fencingToken, checkpoint: Buffer.from('half') });
    await one.coordinator.fail({
      ref,
      fencingToken,
      kind: 2,
      status: { code: 14, message: '', details: Buffer.alloc(0) },
    });
    const next = await execute(one, 'given-back');
    expect(next).toMatchObject({ attempt: 2, takeover: false, checkpoint: Buffer.from('half') });
    expect(next.fencingToken).toBeGreaterThan(fencingToken);
  });
  test('who comes after a lease that was given back is told of a lapse before it', async () => {
    await execute(one, 'lapsed-before');
    await lapse(setup.database, 'lapsed-before');
    const { fencingToken } = await execute(one, 'lapsed-before');
    const ref = refOf('lapsed-before');
    const status = { code: 14, message: '', details: Buffer.alloc(0) };
    await one.coordinator.fail({ ref, fencingToken, kind: 2, status });
    expect(await execute(one, 'lapsed-before')).toMatchObject({ attempt: 3, takeover: true });
  });
  test('a late copy of the Begin whose attempt gave its lease back is refused', async () => {
    const attemptId = randomUUID();
    const { fencingToken } = await execute(one, 'late-copy', { attemptId });
    const status = { code: 14, message: '', details: Buffer.alloc(0) };
    await one.coordinator.fail({ ref: refOf('late-copy'), fencingToken, kind: 2, status });
    expect(await caught(begin('late-copy', { attemptId }))).toMatchObject({ reason: 'LEASE_LOST' });
  });
  test('a key whose whole retention passed is new again, with a larger token', async () => {
    const token = await completeAs('forgotten-by-time', 'one');
    await expireRecord(setup.database, 'forgotten-by-time');
    const fresh = await startCoordinator(setup.database.url);
    const renewed = await execute(fresh, 'forgotten-by-time', { operation: 'other' });
    await fresh.stop();
    expect(renewed).toMatchObject({ attempt: 1, takeover: false, checkpoint: undefined });
    expect(renewed.fencingToken).toBeGreaterThan(token);
  });
});

describe('other outcomes', () => {
  test('in_progress tells how long the lease still has, and the attempt', async () => {
    await execute(one, 'busy', { lease: duration(20_000) });
    const busy = expectOutcome(await begin('busy'), 'inProgress');
    expect(busy.attempt).toBe(1);
    expect(millisecondsOf(busy.leaseLeft)).toBeGreaterThan(0);
    expect(millisecondsOf(busy.leaseLeft)).toBeLessThanOrEqual(20_000);
    expect(millisecondsOf(busy.retryAfter)).toBe(1000);
  });
  test('indeterminate, once a lease lapsed under PARK', async () => {
    await execute(one, 'parked', { onLapse: OnLapse.PARK });
    await lapse(setup.database, 'parked');
    expect(expectOutcome(await begin('parked'), 'indeterminate')).toEqual({ attempt: 1 });
    expect(expectOutcome(await begin('parked'), 'indeterminate')).toEqual({ attempt: 1 });
  });
  test('result_expired tells when it was done and until when that is known', async () => {
    await completeAs('tombstone', 'one');
    const { finishTime } = expectOutcome(await begin('tombstone'), 'replay');
    await expireResult(setup.database, 'tombstone');
    // The replay was cached with its old expiry; another process has not seen it.
    const fresh = await startCoordinator(setup.database.url);
    const expired = expectOutcome(await fresh.coordinator.begin(beginRequest('tombstone')), 'resultExpired');
    expect(expired.finishTime).toEqual(finishTime);
    expect(expired.expireTime?.getTime()).toBeGreaterThan(finishTime?.getTime() ?? Infinity);
    await fresh.stop();
  });
  test('another operation, or another digest of one version, is a mismatch in every state', async () => {
    const fingerprint = { version: 1, digest: Buffer.from('abc') };
    const { fencingToken } = await execute(one, 'mismatch', { fingerprint });
    const ask = (more: object) => caught(begin('mismatch', { fingerprint, ...more }));
    const check = async () => {
      expect(await ask({ operation: 'refund' })).toMatchObject({
        code: 9,
        reason: 'KEY_MISMATCH',
        metadata: { field: 'operation' },
      });
      expect(await ask({ fingerprint: { version: 1, digest: Buffer.from('abd') } })).toMatchObject({
        reason: 'KEY_MISMATCH',
        metadata: { field: 'fingerprint' },
      });
    };
    await check();
    await one.coordinator.complete({ ref: refOf('mismatch'), fencingToken, result: result('x') });
    await check();
    const otherVersion = { version: 2, digest: Buffer.from('abd') };
    expectOutcome(await begin('mismatch', { fingerprint: otherVersion }), 'replay');
    expectOutcome(await begin('mismatch', { fingerprint: undefined }), 'replay');
  });
  test('attempts beyond the policy are parked, released or lapsed alike', async () => {
    await putNamespace(one, 'twice', { maxAttempts: 2 });
    for (const end of ['release', 'lapse'] as const) {
      const ref = refOf(`spent-${end}`, 'twice');
      for (let attempt = 1; attempt <= 2; attempt += 1) {
        const granted = await execute(one, ref.key, { ref });
        expect(granted.attempt).toBe(attempt);
        const status = { code: 14, message: '', details: Buffer.alloc(0) };
        if (end === 'lapse') await lapse(setup.database, ref.key);
        else await one.coordinator.fail({ ref, fencingToken: granted.fencingToken, kind: 2, status });
      }
      expect(expectOutcome(await begin(ref.key, { ref }), 'indeterminate')).toEqual({ attempt: 2 });
    }
  });
});

describe('keys too old to be new', () => {
  const dayMs = 24 * 3600 * 1000;
  test('by first_attempt_time, and by the birth of a UUIDv7', async () => {
    const old = new Date(Date.now() - 2 * dayMs);
    const oldKey = uuidV7(old.getTime(), Buffer.alloc(10, 1));
    for (const refused of [begin('old-1', { firstAttemptTime: old }), begin(oldKey)]) {
      expect(await caught(refused)).toMatchObject({ code: 9, reason: 'KEY_TOO_OLD' });
    }
    expect(
      await setup.database.query('SELECT FROM onceward.record WHERE key IN ($1, $2)', ['old-1', oldKey]),
    ).toEqual([]);
    // first_attempt_time is the word of the caller, over the key's.
    await execute(one, oldKey, { firstAttemptTime: new Date() });
    await execute(one, uuidV7(Date.now(), Buffer.alloc(10, 2)));
  });
  test('a known key is replayed however old it is', async () => {
    await completeAs('old-but-known', 'x');
    const firstAttemptTime = new Date(0);
    expectOutcome(await begin('old-but-known', { firstAttemptTime }), 'replay');
    await expireRecord(setup.database, 'old-but-known');
    const fresh = await startCoordinator(setup.database.url);
    const request = beginRequest('old-but-known', { firstAttemptTime });
    expect(await caught(fresh.coordinator.begin(request))).toMatchObject({ reason: 'KEY_TOO_OLD' });
    await fresh.stop();
  });
  test('the far ends of time are times too', async () => {
    const latestKey = uuidV7(2 ** 48 - 1, Buffer.alloc(10, 3));
    await execute(one, latestKey);
    await execute(one, 'year-9999', { firstAttemptTime: new Date('9999-12-31T23:59:59Z') });
    await execute(one, 'last-date', { firstAttemptTime: new Date(8.64e15) });
    for (const time of [-8.64e15, Date.parse('0001-01-01T00:00:00Z'), 0]) {
      const refused = begin('first-date', { firstAttemptTime: new Date(time) });
      expect(await caught(refused)).toMatchObject({ reason: 'KEY_TOO_OLD' });
    }
  });
  test('not where the policy does not mind, or remembers for ever', async () => {
    await putNamespace(one, 'any-age', { refuseOldKeys: false });
    await putNamespace(one, 'for-ever', { resultRetention: retention(Infinity) });
    for (const namespace of ['any-age', 'for-ever']) {
      await execute(one, 'k', { ref: refOf('k', namespace), firstAttemptTime: new Date(0) });
    }
  });
});

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Codec } from '../../src/client/codec.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { counterOf, refOf, resultWithoutPayload } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { gate, operationError, proxied, service } from '../support/sdk.js';
import { expireResult, lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

const stateOf = async (key: string) => (await one.coordinator.lookup({ ref: refOf(key) })).state;

describe('a value', () => {
  test('is given to every later call, wherever it is made', async () => {
    const here = service([one.address]);
    const there = service([two.address]);
    const value = { chargeId: 'c-1', lines: [1, 2], note: null };
    expect(await here.charge('value', () => value)).toEqual(value);
    expect(await here.charge('value', () => ({ ...value, chargeId: 'c-2' }))).toEqual(value);
    expect(await there.charge('value', () => ({ ...value, chargeId: 'c-3' }))).toEqual(value);
    expect([here.runs.length, there.runs.length]).toEqual([1, 0]);
  });

  test('may be undefined, null or empty', async () => {
    const { charge, runs } = service([one.address]);
    for (const value of [undefined, null, '', 0, false, []]) {
      const key = `value-${String(value)}-${typeof value}`;
      await charge(key, () => value);
      expect(await charge(key, () => 'again')).toEqual(value);
    }
    expect(runs).toHaveLength(6);
  });

  test('that is asked for a hundred times at once runs once', async () => {
    const { charge, runs } = service([one.address, two.address]);
    const calls = Array.from({ length: 100 }, (_, i) => charge('crowd', () => i, { waitMs: 20_000 }));
    const values = new Set(await Promise.all(calls));
    expect(values.size).toBe(1);
    expect(runs).toHaveLength(1);
  });

  test.each([
    ['with parameters', 'text/plain; charset=utf-8', 'text/plain'],
    ['too long to be stored', `text/${'x'.repeat(255)}`, ''],
  ])('may have a content type %s', async (_, contentType, stored) => {
    const { charge, runs } = service([one.address]);
    const key = `content-type-${contentType.length}`;
    const codec: Codec<string> = {
      contentType,
      encode: (value) => Buffer.from(value),
      decode: (payload) => Buffer.from(payload ?? '').toString(),
    };
    for (const value of ['first', 'second']) {
      expect(await charge(key, () => value, { codec })).toBe('first');
    }
    const { result } = await one.coordinator.lookup({ ref: refOf(key), withResult: true });
    expect(result?.contentType).toBe(stored);
    expect(runs).toHaveLength(1);
  });

  test('that can not be encoded counts as done', async () => {
    const { charge, runs } = service([one.address]);
    await expect(charge('unencodable', () => 1n)).rejects.toThrow(TypeError);
    expect(await operationError(charge('unencodable', () => 1n))).toMatchObject({
      reason: 'RESULT_TOO_LARGE',
      code: status.FAILED_PRECONDITION,
    });
    expect(runs).toHaveLength(1);
  });

  test.each([
    ['above the limit of the namespace', 1.1],
    ['above what a message carries', 4.5],
  ])('%s counts as done: RESULT_TOO_LARGE', async (name, mebibytes) => {
    const { charge, runs } = service([one.address]);
    const value = 'x'.repeat(mebibytes * 1024 * 1024);
    expect(await charge(name.replaceAll(' ', '-'), () => value)).toBe(value);
    const again = await operationError(charge(name.replaceAll(' ', '-'), () => value));
    expect(again.reason).toBe('RESULT_TOO_LARGE');
    expect(runs).toHaveLength(1);
  });

  test('past its retention: RESULT_EXPIRED', async () => {
    await service([one.address]).charge('expired', () => 1);
    await expireResult(setup.database, 'expired');
    // The first has its replay in the cache, with its old expiry.
    const { charge, runs } = service([two.address]);
    expect((await operationError(charge('expired', () => 2))).reason).toBe('RESULT_EXPIRED');
    expect(runs).toHaveLength(0);
  });
});

describe('no answer', () => {
  test('IN_PROGRESS at once, with a hint; with waitMs the value', async () => {
    const { charge, runs } = service([one.address]);
    const done = gate<string>();
    const first = charge('running', () => done.passed);
    await until('it runs', () => runs.length === 1);
    const busy = await operationError(charge('running', () => 'second'));
    expect(busy).toMatchObject({ reason: 'IN_PROGRESS', code: status.ABORTED });
    expect(busy.retryAfterMs).toBeGreaterThan(0);
    const short = await operationError(charge('running', () => 'second', { waitMs: 50 }));
    expect(short.reason).toBe('IN_PROGRESS');

    const waited = await counterOf(one, 'begin.waited');
    const waiting = charge('running', () => 'second', { waitMs: 20_000 });
    await until('it waits', async () => (await counterOf(one, 'begin.waited')) > waited);
    done.open('first');
    expect(await Promise.all([first, waiting])).toEqual(['first', 'first']);
    expect(runs).toHaveLength(1);
  });

  test('a wait longer than a coordinator takes is cut to what it does', async () => {
    const { charge, runs } = service([one.address]);
    const done = gate<string>();
    const first = charge('long-wait', () => done.passed);
    await until('it runs', () => runs.length === 1);
    const waited = await counterOf(one, 'begin.waited');
    const waiting = charge('long-wait', () => 'second', { waitMs: Infinity });
    await until('it waits', async () => (await counterOf(one, 'begin.waited')) > waited);
    done.open('first');
    expect(await Promise.all([first, waiting])).toEqual(['first', 'first']);
  });

  test('PARK: INDETERMINATE for all, until it is resolved', async () => {
    const { charge, runs } = service([one.address]);
    const done = gate<string>();
    const first = charge('parked', () => done.passed, { onLapse: 'PARK' });
    await until('it runs', () => runs.length === 1);
    await lapse(setup.database, 'parked');
    const parked = await operationError(charge('parked', () => 'second'));
    expect(parked).toMatchObject({ reason: 'INDETERMINATE', code: status.FAILED_PRECONDITION });
    expect(await stateOf('parked')).toBe(State.INDETERMINATE);
    done.open('first');
    expect((await operationError(first)).reason).toBe('INDETERMINATE');
    expect(runs).toHaveLength(1);

    const result = {
      ...resultWithoutPayload(),
      payload: Buffer.from('"by hand"'),
      contentType: 'application/json',
    };
    const decision = { $case: 'complete' as const, value: result };
    await one.admin.resolve({ ref: refOf('parked'), reason: 'looked it up', decision });
    expect(await charge('parked', () => 'second')).toBe('by hand');
  });

  test('KEY_MISMATCH for another fingerprint or operation', async () => {
    const { charge, runs } = service([one.address]);
    const fingerprint = (digest: string) => ({ version: 1, digest: Buffer.from(digest) });
    await charge('mismatch', () => 1, { fingerprint: fingerprint('10 EUR') });
    const other = charge('mismatch', () => 2, { fingerprint: fingerprint('20 EUR') });
    expect(await caught(other)).toMatchObject({ reason: 'KEY_MISMATCH' });
    const refund = charge('mismatch', () => 3, { operation: 'refund' });
    expect(await caught(refund)).toMatchObject({ reason: 'KEY_MISMATCH' });
    expect(await charge('mismatch', () => 4, { fingerprint: fingerprint('10 EUR') })).toBe(1);
    expect(runs).toHaveLength(1);
  });

  test('a key that is none is refused, naming the field', async () => {
    const { charge, runs } = service([one.address]);
    const error = await caught(charge('', () => 1));
    expect(error).toMatchObject({ reason: 'KEY_INVALID' });
    expect(error.message).toMatch(/^ref.key must have 1 to 255 characters/);
    expect(runs).toHaveLength(0);
  });

  test('RESULT_NOT_STORED: it ran, and nobody knows', async () => {
    const proxy = await proxied(one.address);
    const { charge, runs } = service([proxy.address]);
    const run = () => {
      proxy.stall();
      return 'charged';
    };
    const error = await operationError(charge('not-stored', run, { finishTimeoutMs: 100 }));
    expect(error).toMatchObject({ reason: 'RESULT_NOT_STORED', code: status.ABORTED });
    expect(error.cause).toMatchObject({ code: status.UNAVAILABLE });
    expect(runs).toHaveLength(1);
  });
});

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FinalError } from '../../src/client/guard.js';
import type { Operation } from '../../src/client/operation.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { untilBlocked, withHolder } from '../support/holder.js';
import { gate, proxied, service } from '../support/sdk.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

const fails = (error: unknown) => () => {
  throw error;
};

describe('an error', () => {
  test('FinalError is stored, and thrown again', async () => {
    const { charge, runs } = service([one.address]);
    const declined = new FinalError(status.FAILED_PRECONDITION, 'card declined');
    await expect(charge('declined', fails(declined))).rejects.toBe(declined);
    const again = await charge('declined', () => 1).catch((error: unknown) => error);
    expect(again).toBeInstanceOf(FinalError);
    expect(again).toMatchObject({ code: declined.code, message: 'card declined', replayed: true });
    expect(runs).toHaveLength(1);
  });

  test('of gRPC with a final code is stored', async () => {
    const { charge } = service([one.address]);
    const error = Object.assign(new Error('5 NOT_FOUND: no card'), {
      code: status.NOT_FOUND,
      details: 'no card',
    });
    await expect(charge('grpc-final', fails(error))).rejects.toBe(error);
    await expect(charge('grpc-final', () => 1)).rejects.toMatchObject({ code: 5, message: 'no card' });
  });

  test.each([
    ['without a code', new Error('socket hang up')],
    ['of gRPC that passes', Object.assign(new Error(), { code: status.UNAVAILABLE, details: 'down' })],
    ['of a database that has numbers too', Object.assign(new Error('HostUnreachable'), { code: 6 })],
    ['whose message is no text', { message: { card: 'refused' } }],
    ['whose details are no text', Object.assign(new Error('no'), { code: 9, details: { card: 'refused' } })],
    ['of the platform that has numbers too', new DOMException('closed', 'InvalidStateError')],
  ])('%s frees the key', async (name, error) => {
    const { charge, runs } = service([one.address]);
    const key = name.replaceAll(' ', '-');
    await expect(charge(key, fails(error))).rejects.toBe(error);
    expect(await charge(key, () => 'second')).toBe('second');
    expect(runs.map(({ attempt, takeover }) => [attempt, takeover])).toEqual([
      [1, false],
      [2, false],
    ]);
  });

  test('is final or not as isFinal says', async () => {
    const { charge, runs } = service([one.address]);
    const error = new Error('insufficient funds');
    const isFinal = (thrown: unknown) => thrown === error;
    await expect(charge('is-final', fails(error), { isFinal })).rejects.toBe(error);
    await expect(charge('is-final', () => 1, { isFinal })).rejects.toMatchObject({ message: error.message });
    expect(runs).toHaveLength(1);
  });

  test('that isFinal throws leaves the key to the next once the lease has lapsed', async () => {
    const { charge } = service([one.address]);
    const isFinal = () => {
      throw new TypeError('no code');
    };
    const failed = charge('is-final-throws', fails(new Error('boom')), { isFinal, leaseMs: 300 });
    await expect(failed).rejects.toThrow('no code');
    expect(await charge('is-final-throws', () => 'second', { waitMs: 20_000 })).toBe('second');
  });

  test('of the execution is thrown even when the key can not be freed', async () => {
    const proxy = await proxied(one.address);
    const { charge } = service([proxy.address]);
    const error = new Error('socket hang up');
    const run = () => {
      proxy.stall();
      throw error;
    };
    await expect(charge('not-freed', run, { finishTimeoutMs: 100 })).rejects.toBe(error);
  });
});

describe('the caller', () => {
  test('that leaves does not stop the execution nor its finish', async () => {
    const { charge, runs } = service([one.address]);
    const leaving = new AbortController();
    const done = gate<string>();
    const first = charge('left', () => done.passed, { signal: leaving.signal });
    await until('it runs', () => runs.length === 1);
    leaving.abort();
    done.open('first');
    expect(await first).toBe('first');
    expect(runs[0]?.signal.aborted).toBe(false);
    expect(await charge('left', () => 'second')).toBe('first');
  });

  test('that leaves before the grant has it given back', async () => {
    const { charge, runs } = service([one.address]);
    await expect(charge('left-early', fails(new Error('once')))).rejects.toThrow('once');
    const leaving = new AbortController();
    await withHolder(setup.database.url, async (holder) => {
      await holder.query(`SELECT FROM onceward.record WHERE key = 'left-early' FOR UPDATE`);
      const left = charge('left-early', () => 1, { signal: leaving.signal });
      await untilBlocked(setup.database, 1);
      leaving.abort();
      expect(await caught(left)).toMatchObject({ code: status.CANCELLED });
      await holder.rollback();
    });
    await until('it is free', async () => {
      const { state, attempt } = await one.coordinator.lookup({ ref: refOf('left-early') });
      return state === State.RELEASED && attempt === 2;
    });
    expect(await charge('left-early', () => 'at once')).toBe('at once');
    expect(runs).toHaveLength(2);
  });
});

describe('a checkpoint', () => {
  test('is given to the next execution', async () => {
    const { charge, runs } = service([one.address]);
    const crash = async (operation: Operation) => {
      await operation.saveCheckpoint(Buffer.from('page 1'));
      await operation.saveCheckpoint(Buffer.from('page 2'));
      throw new Error('out of memory');
    };
    await expect(charge('checkpoint', crash)).rejects.toThrow('out of memory');
    const found = await charge('checkpoint', ({ checkpoint }) => Buffer.from(checkpoint ?? '').toString());
    expect(found).toBe('page 2');
    expect(runs[0]?.checkpoint).toBeUndefined();
  });

  test('above 64 KiB is refused', async () => {
    const { charge } = service([one.address]);
    const save = (operation: Operation) => operation.saveCheckpoint(Buffer.alloc(64 * 1024 + 1));
    expect(await caught(charge('checkpoint-large', save))).toMatchObject({ reason: 'REQUEST_INVALID' });
  });
});

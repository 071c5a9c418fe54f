import { Metadata, status, type sendUnaryData, type ServiceError } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { guard } from '../../src/client/guard.js';
import { keyed, propagate, type PropagationOptions } from '../../src/client/propagate.js';
import { idempotentService } from '../../src/client/service.js';
import type { Call } from '../support/guarded-shop.js';
import { clientOf, done, ledgerWith, type Charge } from '../support/ledger.js';
import { shopService, startServer, type ChargeReply } from '../support/shop-service.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

let keys = 0;
/** Runs inside of an operation with this key, as each of its executions would. */
function inside<T>(run: () => Promise<T>, key = `propagate-${(keys += 1)}`): Promise<T | undefined> {
  return guard(used.onceward, { key, operation: 'test' }, run);
}

/** The same operation once more, as after a crash: the first one fails in a way that frees the key. */
async function twice(run: () => Promise<unknown>): Promise<void> {
  const key = `propagate-${(keys += 1)}`;
  const crashed = inside(async () => {
    await run();
    throw new Error('crash');
  }, key);
  await expect(crashed).rejects.toThrow('crash');
  await inside(async () => {
    await run();
  }, key);
}

describe('the key of a call', () => {
  test('is new for each call outside of an operation', async () => {
    const { charge, keysSeen } = await ledgerWith();
    await charge({});
    await charge({});
    expect(keysSeen()[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(new Set(keysSeen()).size).toBe(2);
  });

  test('is the one that is given', async () => {
    const { charge, keysSeen } = await ledgerWith();
    const metadata = new Metadata();
    metadata.set('idempotency-key', 'in-metadata');
    await charge({}, {}, metadata);
    await charge({}, keyed({ key: 'in-options' }));
    await inside(() => charge({}, keyed({ key: 'inside' })));
    expect(keysSeen()).toEqual(['in-metadata', 'in-options', 'inside']);
  });

  test('is derived inside of an operation, and the same when that is executed again', async () => {
    const { charge, keysSeen } = await ledgerWith();
    await twice(async () => {
      await charge({ order: 'a' });
      await charge({ order: 'a' });
      await charge({ order: 'b' });
    });
    const [a1, a2, b, ...again] = keysSeen();
    expect(again).toEqual([a1, a2, b]);
    expect(new Set([a1, a2, b]).size).toBe(3);
    expect(a1).toMatch(/^v1\.[\w-]{43}$/);
  });

  test('is the same for calls at once, in whatever order they are made', async () => {
    const { charge, calls } = await ledgerWith();
    const orders = ['a', 'b', 'c', 'a'];
    let round = 0;
    await twice(async () => {
      round += 1;
      const inOrder = round === 1 ? orders : [...orders].reverse();
      await Promise.all(inOrder.map(async (order) => charge({ order })));
    });
    const keyOf = (call: Call) =>
      `${call.request.order ?? ''} ${String(call.metadata.get('idempotency-key')[0])}`;
    expect(calls.slice(4).map(keyOf).sort()).toEqual(calls.slice(0, 4).map(keyOf).sort());
    expect(new Set(calls.map(keyOf)).size).toBe(4);
  });

  test('of a named step stays, whatever is sent', async () => {
    const { charge, keysSeen } = await ledgerWith();
    let cents = 0;
    await twice(() => charge({ cents: (cents += 1) }, keyed({ step: 'fee' })));
    const [first, second] = keysSeen();
    expect(second).toBe(first);
  });

  test('differs between operations', async () => {
    const { charge, keysSeen } = await ledgerWith();
    await inside(() => charge({}));
    await inside(() => charge({}));
    expect(new Set(keysSeen()).size).toBe(2);
  });
});

test('parent, hops and fencing token go along with calls from an operation', async () => {
  const { charge, calls } = await ledgerWith();
  let token = 0n;
  await guard(
    used.onceward,
    { key: 'p/1 %'.replace(' ', '_'), scope: 'acme:eu', operation: 'test' },
    async (operation) => {
      token = operation.fencingToken;
      await charge({});
    },
  );
  await charge({});
  const [inOperation, outside] = calls.map(({ metadata }) => metadata);
  expect(inOperation?.get('onceward-parent')).toEqual(['test/acme%3Aeu/p%2F1_%25']);
  expect(inOperation?.get('onceward-fencing-token')).toEqual([String(token)]);
  expect(inOperation?.get('onceward-hops')).toEqual(['0']);
  for (const name of ['onceward-parent', 'onceward-fencing-token', 'onceward-hops']) {
    expect(outside?.get(name)).toEqual([]);
  }
});

describe('a Metadata that its caller reuses', () => {
  test.each<[string, PropagationOptions]>([
    ['with retries', {}],
    ['without retries', { retry: false }],
  ])('stays as it was, and each call has its own key and parent, %s', async (_, propagation) => {
    const { charge, calls, keysSeen } = await ledgerWith(done, propagation);
    const reused = new Metadata();
    reused.set('authorization', 'Bearer x');
    await inside(() => charge({}, {}, reused));
    await inside(() => charge({}, {}, reused));
    await charge({}, {}, reused);
    expect(new Set(keysSeen()).size).toBe(3);
    const [first, second, outside] = calls.map(({ metadata }) => metadata.get('onceward-parent')[0]);
    expect(second).not.toBe(first);
    expect(outside).toBeUndefined();
    expect(Object.keys(reused.getMap())).toEqual(['authorization']);
  });

  test('keeps the key that a call which opts out is sent without', async () => {
    const { charge, keysSeen } = await ledgerWith();
    const reused = new Metadata();
    reused.set('idempotency-key', 'given');
    await charge({}, keyed({ skip: true }), reused);
    await charge({}, {}, reused);
    expect(keysSeen()).toEqual([undefined, 'given']);
  });
});

describe('nothing of ours goes', () => {
  const names = ['idempotency-key', 'onceward-parent', 'onceward-hops', 'onceward-fencing-token'];
  const strangers = (metadata: Metadata | undefined) => names.filter((name) => metadata?.get(name).length);

  test('with a call that opts out', async () => {
    const { charge, calls } = await ledgerWith();
    await inside(() => charge({}, keyed({ skip: true })));
    expect(strangers(calls[0]?.metadata)).toEqual([]);
  });

  test('to a target that is not allowed, not even a key that is given', async () => {
    const { charge, calls } = await ledgerWith(done, {
      targets: ['ledger.internal:443', '*.example.com:443'],
    });
    await inside(() => charge({}, keyed({ key: 'secret' })));
    const metadata = new Metadata();
    metadata.set('idempotency-key', 'secret');
    await charge({}, {}, metadata);
    expect(calls.map(({ metadata: received }) => strangers(received))).toEqual([[], []]);
  });

  test.each([
    ['its name', (address: string) => [address]],
    ['a rule', (address: string) => (target: string) => target.endsWith(address)],
    ['its whole target', (address: string) => [`dns:${address}`]],
  ])('astray: an allowed target, by %s, gets the key', async (_, targets) => {
    const { address } = await ledgerWith();
    const seen: unknown[] = [];
    const server = await startServer(shopService, {
      Charge: (call: Call, callback: sendUnaryData<ChargeReply>) => {
        seen.push(call.metadata.get('idempotency-key')[0]);
        done(call, callback);
      },
    });
    expect(server.address).not.toBe(address);
    const { charge, close } = clientOf(server.address, {
      interceptors: [propagate({ targets: targets(server.address) })],
    });
    onTestFinished(() => {
      close();
      server.stop();
    });
    await charge({}, keyed({ key: 'k' }));
    expect(seen).toEqual(['k']);
  });
});

test('a chain that goes in circles ends', async () => {
  const seen: number[] = [];
  let call: Charge = () => Promise.reject(new Error('not there yet'));
  const server = await startServer(
    ...idempotentService(used.onceward, shopService, {
      Charge: (given: Call, callback: sendUnaryData<ChargeReply>) => {
        seen.push(Number(given.metadata.get('onceward-hops')[0] ?? 0));
        call({ order: 'again' }).then(
          (reply) => callback(null, reply),
          (error: unknown) => callback(error as ServiceError),
        );
      },
    }),
  );
  const { charge, close } = clientOf(server.address, { interceptors: [propagate()] });
  call = charge;
  onTestFinished(() => {
    close();
    server.stop();
  });
  await expect(charge({ order: 'first' })).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  expect(seen).toHaveLength(32);
});

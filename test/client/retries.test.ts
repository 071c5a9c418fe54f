import {
  Client,
  credentials,
  InterceptingCall,
  Metadata,
  status,
  type CallOptions,
  type ClientOptions,
  type Interceptor,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keyed, propagate, type PropagationOptions } from '../../src/client/propagate.js';
import { idempotentService } from '../../src/client/service.js';
import type { Call, Handler } from '../support/guarded-shop.js';
import { clientOf, done, ledgerWith, method } from '../support/ledger.js';
import { gate } from '../support/sdk.js';
import { shopService, startServer, type ChargeReply } from '../support/shop-service.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

describe('a call that carries a key is sent again', () => {
  const failing = (times: number, failure: { code: status; metadata?: Metadata }): Handler => {
    let failed = 0;
    return (call, callback) => {
      failed += 1;
      if (failed <= times) callback({ details: 'not now', ...failure });
      else done(call, callback);
    };
  };
  const pushback = (ms: string) => {
    const metadata = new Metadata();
    metadata.set('grpc-retry-pushback-ms', ms);
    return metadata;
  };

  test('under one key, after UNAVAILABLE', async () => {
    const { charge, keysSeen } = await ledgerWith(failing(3, { code: status.UNAVAILABLE }));
    expect(await charge({ order: 'o' })).toEqual({ charge: 'c', number: 1 });
    expect(keysSeen()).toHaveLength(4);
    expect(new Set(keysSeen()).size).toBe(1);
  });

  test('after ABORTED, when the server says when', async () => {
    const failure = { code: status.ABORTED, metadata: pushback('5') };
    const { charge, calls } = await ledgerWith(failing(2, failure));
    await charge({});
    expect(calls).toHaveLength(3);
  });

  test.each<[string, { code: status; metadata?: Metadata }]>([
    ['ABORTED without a pushback', { code: status.ABORTED }],
    ['a pushback that forbids it', { code: status.UNAVAILABLE, metadata: pushback('-1') }],
    ['a definite answer', { code: status.NOT_FOUND, metadata: pushback('5') }],
  ])('but not after %s', async (_, failure) => {
    const { charge, calls } = await ledgerWith(failing(1, failure));
    await expect(charge({})).rejects.toMatchObject({ code: failure.code });
    expect(calls).toHaveLength(1);
  });

  test('but not for ever', async () => {
    const { charge, calls } = await ledgerWith(failing(99, { code: status.UNAVAILABLE }), {
      retry: { maxAttempts: 3, initialBackoffMs: 1 },
    });
    await expect(charge({})).rejects.toMatchObject({ code: status.UNAVAILABLE });
    expect(calls).toHaveLength(3);
  });

  test.each<[string, PropagationOptions, CallOptions]>([
    ['it has no key', {}, keyed({ skip: true })],
    ['its target gets no keys', { targets: [] }, {}],
    ['retries are off', { retry: false }, {}],
  ])('but not when %s', async (_, propagation, options) => {
    const { charge, calls } = await ledgerWith(failing(1, { code: status.UNAVAILABLE }), propagation);
    await expect(charge({}, options)).rejects.toMatchObject({ code: status.UNAVAILABLE });
    expect(calls).toHaveLength(1);
  });

  test('but not when the pause would outlast its deadline', async () => {
    const { charge, calls } = await ledgerWith(
      failing(99, { code: status.ABORTED, metadata: pushback('60000') }),
    );
    await expect(charge({})).rejects.toMatchObject({ code: status.ABORTED });
    expect(calls).toHaveLength(1);
  });

  /** A call that its caller can cancel, and the error it ends with. */
  const cancellable = (address: string, propagation?: PropagationOptions) => {
    const client = new Client(address, credentials.createInsecure(), {
      interceptors: [propagate(propagation)],
    });
    onTestFinished(() => client.close());
    const { path, requestSerialize, responseDeserialize } = method;
    const { passed: ended, open: end } = gate<unknown>();
    const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, end);
    return { call, ended };
  };

  test('until its caller cancels it, also between two attempts', async () => {
    const { address, calls } = await ledgerWith(
      failing(99, { code: status.ABORTED, metadata: pushback('5000') }),
    );
    const { call, ended } = cancellable(address);
    await until('the first attempt failed', () => calls.length === 1);
    setImmediate(() => call.cancel());
    expect(await ended).toMatchObject({ code: status.CANCELLED });
    expect(calls).toHaveLength(1);
  });

  test('until its caller cancels it, also when CANCELLED is among the codes', async () => {
    const { address, calls } = await ledgerWith(() => undefined);
    const { call, ended } = cancellable(address, {
      retry: { codes: [status.CANCELLED], initialBackoffMs: 1 },
    });
    await until('it is there', () => calls.length === 1);
    call.cancel();
    expect(await ended).toMatchObject({ code: status.CANCELLED });
    expect(calls).toHaveLength(1);
  });

  test('until its client is closed between two attempts: it ends as the first did', async () => {
    const { address, calls } = await ledgerWith(
      failing(99, { code: status.ABORTED, metadata: pushback('5') }),
    );
    const closing: Interceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _, next) =>
          next(metadata, {
            onReceiveStatus: (end, told) => {
              told(end);
              close();
            },
          }),
      });
    const { charge, close } = clientOf(address, { interceptors: [propagate(), closing] });
    await expect(charge({})).rejects.toMatchObject({ code: status.ABORTED });
    expect(calls).toHaveLength(1);
  });
});

const retrying = (policy: object): ClientOptions => ({
  'grpc.service_config': JSON.stringify({
    loadBalancingConfig: [],
    methodConfig: [{ name: [{}], ...policy }],
  }),
});

test("grpc-js's own retries carry one key", async () => {
  let calls = 0;
  const { charge, keysSeen } = await ledgerWith(
    (call, callback) => {
      calls += 1;
      if (calls < 3) callback({ code: status.UNAVAILABLE, details: 'not now' });
      else done(call, callback);
    },
    { retry: false },
    retrying({
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: '0.01s',
        maxBackoff: '0.01s',
        backoffMultiplier: 1,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    }),
  );
  await charge({});
  expect(keysSeen()).toHaveLength(3);
  expect(new Set(keysSeen()).size).toBe(1);
});

test('of three hedged copies in flight one is executed, and all get its answer', async () => {
  const runs: Call[] = [];
  let finish: () => void = () => undefined;
  const [definition, handlers] = idempotentService(used.onceward, shopService, {
    Charge: (call: Call, callback: sendUnaryData<ChargeReply>) => {
      runs.push(call);
      finish = () => callback(null, { charge: 'only', number: 1 });
    },
  });
  const guarded = handlers['Charge'] as (call: Call, callback: sendUnaryData<unknown>) => void;
  // The client takes the first answer and cancels the other copies: so each is kept until all are there.
  const answers: { error: unknown; reply: unknown; send: () => void }[] = [];
  let copies = 0;
  const server = await startServer(definition, {
    Charge: (call: Call, callback: sendUnaryData<unknown>) => {
      copies += 1;
      guarded(call, (error, reply, trailing) => {
        answers.push({ error, reply, send: () => callback(error, reply, trailing) });
        if (answers.length === 3) for (const { send } of answers) send();
      });
    },
  });
  const hedging = { maxAttempts: 3, hedgingDelay: '0.01s', nonFatalStatusCodes: ['UNAVAILABLE'] };
  const { charge, close } = clientOf(server.address, {
    interceptors: [propagate()],
    ...retrying({ hedgingPolicy: hedging }),
  });
  onTestFinished(() => {
    close();
    server.stop();
  });
  const answer = charge({ order: 'hedged' });
  await until('three copies are there, and one runs', () => copies === 3 && runs.length === 1);
  finish();
  expect(await answer).toEqual({ charge: 'only', number: 1 });
  expect(runs).toHaveLength(1);
  const [first, ...others] = answers.map(({ error, reply }) => ({ error, reply }));
  expect(first?.error).toBeNull();
  expect(others).toEqual([first, first]);
});

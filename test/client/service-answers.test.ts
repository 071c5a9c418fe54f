import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OperationError } from '../../src/client/operation-error.js';
import { richErrorOf } from '../../src/client/rich-error.js';
import { currentOperation } from '../../src/client/operation.js';
import { idempotentService } from '../../src/client/service.js';
import {
  done,
  metadataOf,
  newKey,
  reasonOf,
  shopWith,
  type Call,
  type Handler,
} from '../support/guarded-shop.js';
import {
  reply,
  shopClient,
  shopService,
  startServer,
  type ChargeReply,
  type ChargeRequest,
  type Received,
} from '../support/shop-service.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

/** What a replay must have in common with the original: everything but its marks, and the time it was sent. */
function essence({ messages, initial, status: { code, details, metadata } }: Received) {
  const entries = (given: Metadata) => {
    const kept = given.clone();
    for (const name of ['onceward-replayed', 'onceward-finish-time', 'date', 'content-type'])
      kept.remove(name);
    return Object.keys(kept.getMap())
      .sort()
      .map((name) => [name, kept.get(name).map((value) => Buffer.from(value).toString('hex'))]);
  };
  return {
    messages: messages.map((message) => message.toString('hex')),
    code,
    details,
    initial: entries(initial),
    trailing: entries(metadata),
  };
}

const finals = [3, 5, 6, 9, 11, 12];
const retryables = [1, 2, 4, 7, 8, 10, 13, 14, 15, 16];

describe('an answer and its replay are the same on the wire', () => {
  const rich = (call: Call) => {
    call.sendMetadata(metadataOf({ 'x-region': 'eu', 'x-trace-bin': Buffer.from([0, 255, 7]) }));
  };
  const trailing = () => metadataOf({ 'x-cost': '12', 'x-proof-bin': Buffer.from([1, 2, 3]) });
  const details = Buffer.from([8, 9, 18, 0]);

  test('a reply with initial and trailing metadata', async () => {
    const { client, runs } = await shopWith(used, (call, callback) => {
      rich(call);
      callback(null, { charge: 'ch_ü', number: 7 }, trailing());
    });
    const key = newKey();
    const first = await client.call('Charge', { order: 'o' }, { key });
    const second = await client.call('Charge', { order: 'o' }, { key });
    expect(essence(second)).toEqual(essence(first));
    expect(reply(second)).toEqual({ charge: 'ch_ü', number: 7 });
    expect(first.initial.get('x-region')).toEqual(['eu']);
    expect(first.status.metadata.get('onceward-replayed')).toEqual([]);
    expect(second.status.metadata.get('onceward-replayed')).toEqual(['true']);
    expect(Date.parse(String(second.status.metadata.get('onceward-finish-time')[0]))).toBeGreaterThan(0);
    expect(runs).toHaveLength(1);
  });

  test('an empty reply', async () => {
    const { client, runs } = await shopWith(used, (_, callback) => callback(null, { charge: '', number: 0 }));
    const key = newKey();
    const first = await client.call('Charge', {}, { key });
    expect(first.messages).toHaveLength(1);
    expect(essence(await client.call('Charge', {}, { key }))).toEqual(essence(first));
    expect(runs).toHaveLength(1);
  });

  test.each(finals)('a failure with final code %i', async (code) => {
    const { client, runs } = await shopWith(used, (call, callback) => {
      rich(call);
      const metadata = trailing();
      metadata.set('grpc-status-details-bin', details);
      callback({ code, details: 'no: ü', metadata });
    });
    const key = newKey();
    const first = await client.call('Charge', {}, { key });
    expect(first.status).toMatchObject({ code, details: 'no: ü' });
    const second = await client.call('Charge', {}, { key });
    expect(essence(second)).toEqual(essence(first));
    expect(second.status.metadata.get('grpc-status-details-bin')).toEqual([details]);
    expect(second.status.metadata.get('onceward-replayed')).toEqual(['true']);
    expect(runs).toHaveLength(1);
  });

  test.each(retryables)('code %i frees the key', async (code) => {
    const { client, runs } = await shopWith(used, (call, callback) => {
      if (runs.length === 1) callback({ code, details: 'not now', metadata: trailing() });
      else done(call, callback);
    });
    const key = newKey();
    const first = await client.call('Charge', {}, { key });
    expect(first.status).toMatchObject({ code, details: 'not now' });
    expect(first.status.metadata.get('x-cost')).toEqual(['12']);
    expect(reply(await client.call('Charge', {}, { key }))).toMatchObject({ charge: 'ch_1' });
    expect(runs).toHaveLength(2);
  });

  test('credentials and what belongs to one call are not stored', async () => {
    const { client } = await shopWith(used, (_, callback) => {
      callback(null, { charge: 'c', number: 1 }, metadataOf({ 'set-cookie': 's=1', 'x-cost': '12' }));
    });
    const key = newKey();
    const first = await client.call('Charge', {}, { key });
    const second = await client.call('Charge', {}, { key });
    expect(first.status.metadata.get('set-cookie')).toEqual(['s=1']);
    expect(second.status.metadata.get('set-cookie')).toEqual([]);
    expect(second.status.metadata.get('x-cost')).toEqual(['12']);
  });

  test('an allow-list says what is', async () => {
    const handler: Handler = (_, callback) => {
      callback(null, { charge: 'c', number: 1 }, metadataOf({ 'x-a': '1', 'x-b': '2' }));
    };
    const { client } = await shopWith(used, handler, { replayMetadata: ['x-b'] });
    const key = newKey();
    await client.call('Charge', {}, { key });
    const second = await client.call('Charge', {}, { key });
    expect(second.status.metadata.getMap()).toMatchObject({ 'x-b': '2' });
    expect(second.status.metadata.get('x-a')).toEqual([]);
  });

  test('status and metadata beyond what can be stored are cut, and the call counts as done', async () => {
    const { client, runs } = await shopWith(used, (_, callback) => {
      const metadata = metadataOf({ 'x-big': 'b'.repeat(9000), 'x-small': 's' });
      callback({ code: status.NOT_FOUND, details: 'ü'.repeat(3000), metadata });
    });
    const key = newKey();
    await client.call('Charge', {}, { key });
    const second = await client.call('Charge', {}, { key });
    expect(second.status.code).toBe(status.NOT_FOUND);
    expect(second.status.details).toBe('ü'.repeat(2048));
    expect(second.status.metadata.get('x-small')).toEqual(['s']);
    expect(second.status.metadata.get('x-big')).toEqual([]);
    expect(runs).toHaveLength(1);
  });
});

test.each<[string, () => Error]>([
  ['here', () => new OperationError('INDETERMINATE', 'unknown')],
  ['in a service that was called', () => richErrorOf(new OperationError('INDETERMINATE', 'unknown'))],
])('a failure that a guard made, %s, frees the key, though its code is final', async (_, failure) => {
  const { client, runs } = await shopWith(used, (call, callback) => {
    if (runs.length === 1) callback(failure());
    else done(call, callback);
  });
  const key = newKey();
  expect((await client.call('Charge', {}, { key })).status.code).toBe(status.FAILED_PRECONDITION);
  expect(reply(await client.call('Charge', {}, { key })).charge).toBe('ch_1');
  expect(runs).toHaveLength(2);
});

describe('a handler that', () => {
  test.each<[string, Handler]>([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
    ],
    ['rejects', () => Promise.reject(new Error('boom'))],
  ])('%s ends its call as UNKNOWN and frees the key', async (_, failing) => {
    const { client, runs } = await shopWith(used, (call, callback) =>
      runs.length === 1 ? failing(call, callback) : done(call, callback),
    );
    const key = newKey();
    expect((await client.call('Charge', {}, { key })).status).toMatchObject({ code: 2, details: 'boom' });
    expect(reply(await client.call('Charge', {}, { key })).number).toBe(7);
  });

  test('answers what can not be serialized is done, and says INTERNAL', async () => {
    const { client, runs } = await shopWith(used, (_, callback) =>
      callback(null, {
        get charge(): string {
          throw new Error('no charge');
        },
        number: 1,
      }),
    );
    const key = newKey();
    expect((await client.call('Charge', {}, { key })).status.code).toBe(status.INTERNAL);
    const second = await client.call('Charge', {}, { key });
    expect(reasonOf(second)).toBe('RESULT_TOO_LARGE');
    expect(second.status.metadata.get('onceward-replayed')).toEqual(['true']);
    expect(runs).toHaveLength(1);
  });

  test('is left by its caller still finishes', async () => {
    let finish: () => void = () => undefined;
    const { client, runs } = await shopWith(used, (_, callback) => {
      finish = () => callback(null, { charge: 'late', number: 1 });
    });
    const key = newKey();
    const left = await client.call('Charge', {}, { key, options: { deadline: Date.now() + 200 } });
    expect(left.status.code).toBe(status.DEADLINE_EXCEEDED);
    finish();
    expect(reply(await client.call('Charge', {}, { key })).charge).toBe('late');
    expect(runs).toHaveLength(1);
  });

  test('is the method of a class has its this', async () => {
    class Shop {
      [name: string]: UntypedHandleCall;
      readonly #reply = { charge: 'of this', number: 1 };
      Charge(_: Call, callback: sendUnaryData<ChargeReply>) {
        callback(null, this.#reply);
      }
      Ping(_: Call, callback: sendUnaryData<ChargeReply>) {
        callback(null, this.#reply);
      }
      Parcels(call: ServerWritableStream<ChargeRequest, ChargeReply>) {
        call.write(this.#reply);
        call.end();
      }
    }
    const options = { methods: { Ping: { skip: true } } };
    const server = await startServer(...idempotentService(used.onceward, shopService, new Shop(), options));
    const client = shopClient(server.address);
    onTestFinished(() => {
      client.close();
      server.stop();
    });
    for (const method of ['Charge', 'Ping', 'Parcels']) {
      expect(reply(await client.call(method, {}, { key: newKey() })).charge).toBe('of this');
    }
  });

  test('knows its operation', async () => {
    const { client } = await shopWith(
      used,
      (_, callback) => {
        const { ref, attempt, fencingToken, guarded } = currentOperation()!;
        expect(fencingToken).toBeGreaterThan(0n);
        callback(null, { charge: `${ref.scope}/${ref.key}`, number: guarded ? attempt : 0 });
      },
      { scopeOf: (call) => String(call.metadata.get('x-tenant')[0] ?? '') },
    );
    const key = newKey();
    const first = await client.call('Charge', {}, { key, metadata: { 'x-tenant': 'acme' } });
    expect(reply(first)).toEqual({ charge: `acme/${key}`, number: 1 });
    const other = await client.call('Charge', {}, { key, metadata: { 'x-tenant': 'umbrella' } });
    expect(other.status.metadata.get('onceward-replayed')).toEqual([]);
  });
});

import { Client, credentials, Metadata, status, type ServerWritableStream } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceOptions } from '../../src/client/guarded-method.js';
import { currentOperation } from '../../src/client/operation.js';
import { idempotentService } from '../../src/client/service.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { metadataOf } from '../support/guarded-shop.js';
import { gate } from '../support/sdk.js';
import {
  shopClient,
  shopMethod,
  shopService,
  startServer,
  type ChargeReply,
  type ChargeRequest,
  type Received,
} from '../support/shop-service.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

type Call = ServerWritableStream<ChargeRequest, ChargeReply>;

async function parcelsWith(handler: (call: Call) => unknown, options: ServiceOptions = {}) {
  const runs: Call[] = [];
  const Parcels = (call: Call) => {
    runs.push(call);
    return handler(call);
  };
  const [definition, handlers] = idempotentService(used.onceward, shopService, { Parcels }, options);
  const guarded = handlers['Parcels'] as (call: Call) => void;
  const arrived: Call[] = [];
  const server = await startServer(definition, {
    Parcels: (call: Call) => {
      arrived.push(call);
      guarded(call);
    },
  });
  const client = shopClient(server.address);
  onTestFinished(() => {
    client.close();
    server.stop();
  });
  const keys = `stream-${runCount++}`;
  return {
    runs,
    address: server.address,
    /** The calls as grpc-js gives them to the guard. */
    arrived,
    call: (more = {}) => client.call('Parcels', { order: 'o' }, { key: keys, ...more }),
    key: keys,
  };
}
let runCount = 0;

function charges({ messages }: Received): string[] {
  return messages.map((bytes) => shopMethod('Charge').responseDeserialize(bytes).charge);
}

const stateOf = async (key: string) => (await used.onceward.calls.lookup({ ref: refOf(key) })).state;
const parcel = (charge: string): ChargeReply => ({ charge, number: 1 });

const noneLeft = () =>
  Object.assign(new Error('none left'), { code: status.NOT_FOUND, details: 'none left' });

test('a streamed reply is replayed message by message', async () => {
  const { call, runs } = await parcelsWith((stream) => {
    const initial = new Metadata();
    initial.set('x-region', 'eu');
    stream.sendMetadata(initial);
    for (const charge of ['a', 'b', '']) stream.write(parcel(charge));
    const trailing = new Metadata();
    trailing.set('x-count', '3');
    stream.end(trailing);
  });
  const [first, second] = [await call(), await call()];
  expect(charges(first)).toEqual(['a', 'b', '']);
  expect(second.messages).toEqual(first.messages);
  for (const answer of [first, second]) {
    expect(answer.initial.get('x-region')).toEqual(['eu']);
    expect(answer.status).toMatchObject({ code: status.OK });
    expect(answer.status.metadata.get('x-count')).toEqual(['3']);
  }
  expect(second.status.metadata.get('onceward-replayed')).toEqual(['true']);
  expect(runs).toHaveLength(1);
});

test('a stream without messages is a reply too', async () => {
  const { call, runs } = await parcelsWith((stream) => stream.end());
  const [first, second] = [await call(), await call()];
  expect([first.messages, second.messages]).toEqual([[], []]);
  expect(second.status.code).toBe(status.OK);
  expect(runs).toHaveLength(1);
});

test.each<[string, (stream: Call) => unknown]>([
  ['emits it', (stream) => stream.emit('error', noneLeft())],
  ['is destroyed with it', (stream) => stream.destroy(noneLeft())],
])('a final failure is its reply alone, when the handler %s', async (_, end) => {
  const { call, runs } = await parcelsWith((stream) => {
    stream.write(parcel('a'));
    end(stream);
  });
  for (const answer of [await call(), await call()]) {
    expect(answer.messages).toEqual([]);
    expect(answer.status).toMatchObject({ code: status.NOT_FOUND, details: 'none left' });
  }
  expect(runs).toHaveLength(1);
});

test.each<[string, (stream: Call) => unknown]>([
  ['reply', (stream) => stream.end()],
  ['failure', (stream) => stream.destroy(noneLeft())],
])('a call without a key is told the minted one with its %s', async (_, handler) => {
  const { call, runs } = await parcelsWith(handler);
  const [key] = (await call({ key: undefined })).status.metadata.get('idempotency-key');
  const again = await call({ key });
  expect(again.status.metadata.get('onceward-replayed')).toEqual(['true']);
  expect(runs).toHaveLength(1);
});

test('a handler that rejects frees the key', async () => {
  const { call, runs } = await parcelsWith(async (stream) => {
    stream.write(parcel('a'));
    await Promise.resolve();
    if (runs.length === 1) throw new Error('boom');
    stream.end();
  });
  expect((await call()).status).toMatchObject({ code: status.UNKNOWN, details: 'boom' });
  expect(charges(await call())).toEqual(['a']);
  expect(runs).toHaveLength(2);
});

test.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw noneLeft();
    },
  ],
  ['rejects', () => Promise.reject(noneLeft())],
])('a handler that runs unguarded and %s ends its call with its own error', async (_, handler) => {
  const { call } = await parcelsWith(handler, { key: 'optional' });
  const answer = await call({ key: undefined });
  expect(answer.status).toMatchObject({ code: status.NOT_FOUND, details: 'none left' });
});

test('nothing is sent before it is stored', async () => {
  let end: () => void = () => undefined;
  const { call, key } = await parcelsWith((stream) => {
    stream.write(parcel('a'));
    end = () => stream.end();
  });
  const left = await call({ options: { deadline: Date.now() + 300 } });
  expect(left).toMatchObject({ messages: [], status: { code: status.DEADLINE_EXCEEDED } });
  end();
  await until('it is stored', async () => (await stateOf(key)) === State.COMPLETED);
  expect(charges(await call())).toEqual(['a']);
});

test('a handler that stops when its caller left does not know of it, and ends its reply', async () => {
  const left = gate();
  const { arrived, call, key, runs } = await parcelsWith(async (stream) => {
    for (const charge of ['a', 'b']) {
      if (stream.cancelled) break;
      stream.write(parcel(charge));
      await left.passed;
    }
    stream.end();
  });
  const cancel = until('it runs', () => runs.length === 1);
  expect((await call({ cancel })).status.code).toBe(status.CANCELLED);
  await until('the server is told', () => arrived[0]?.cancelled);
  left.open();
  await until('it is stored', async () => (await stateOf(key)) === State.COMPLETED);
  expect(charges(await call())).toEqual(['a', 'b']);
});

test('beyond the bound a reply flows, and is done without a replay', async () => {
  const names = Array.from({ length: 200 }, (_, i) => `parcel ${i}`);
  const { call, runs } = await parcelsWith(
    async (stream) => {
      expect(currentOperation()?.attempt).toBe(1);
      for (const name of names) {
        if (!stream.write(parcel(name))) await new Promise((resolve) => stream.once('drain', resolve));
      }
      stream.end();
    },
    { maxStreamBytes: 1000 },
  );
  const first = await call();
  expect(charges(first)).toEqual(names);
  expect(first.status.code).toBe(status.OK);
  const second = await call();
  expect(second).toMatchObject({ messages: [], status: { code: status.FAILED_PRECONDITION } });
  expect(second.status.details).toBe('it was done, and its result was too large to keep');
  expect(runs).toHaveLength(1);
});

test('a reply that flows goes on to its end when a caller that does not read leaves', async () => {
  const { address, arrived, key } = await parcelsWith(
    (stream) => {
      for (let i = 0; i < 200; i += 1) stream.write(parcel('x'.repeat(60_000)));
      stream.end();
    },
    { maxStreamBytes: 1000 },
  );
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const { path, requestSerialize, responseDeserialize } = shopMethod('Parcels');
  const metadata = metadataOf({ 'idempotency-key': key });
  const reading = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata);
  reading.on('error', () => undefined);
  await until('its reply is held up', () => arrived[0]?.writableNeedDrain);
  reading.cancel();
  await until('it is stored', async () => (await stateOf(key)) === State.COMPLETED);
});

test('duplicates in flight wait for the whole reply', async () => {
  let end: () => void = () => undefined;
  const { call, runs } = await parcelsWith((stream) => {
    stream.write(parcel('a'));
    end = () => {
      stream.write(parcel('b'));
      stream.end();
    };
  });
  const calls = [call(), call(), call()];
  await until('one runs', () => runs.length === 1);
  end();
  for (const answer of await Promise.all(calls)) expect(charges(answer)).toEqual(['a', 'b']);
  expect(runs).toHaveLength(1);
});

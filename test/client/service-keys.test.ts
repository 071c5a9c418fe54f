import { ServerInterceptingCall, status, type ServerInterceptor } from '@grpc/grpc-js';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connectOnceward } from '../../src/client/onceward.js';
import { currentOperation } from '../../src/client/operation.js';
import { idempotentService } from '../../src/client/service.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { counterOf, refOf } from '../support/calls.js';
import { done, newKey, reasonOf, shopWith, type Call, type Handler } from '../support/guarded-shop.js';
import { shopDescriptors } from '../support/shop-descriptors.js';
import {
  reply,
  shopClient,
  shopService,
  startServer,
  uploadsService,
  type ChargeRequest,
} from '../support/shop-service.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward({ maxResultRetention: { kind: { $case: 'forever', value: true } } });

describe('duplicates in flight', () => {
  test('wait for the first and get its answer', async () => {
    let finish: () => void = () => undefined;
    const { client, runs } = await shopWith(used, (_, callback) => {
      finish = () => callback(null, { charge: 'one', number: 1 });
    });
    const key = newKey();
    const calls = Array.from({ length: 5 }, () => client.call('Charge', {}, { key }));
    await until(
      'four wait',
      async () => (await counterOf(used.setup.coordinators[0]!, 'begin.waited')) >= 4n,
    );
    finish();
    const answers = await Promise.all(calls);
    expect(new Set(answers.map((answer) => reply(answer).charge))).toEqual(new Set(['one']));
    expect(
      answers.filter(({ status: { metadata } }) => metadata.get('onceward-replayed').length > 0),
    ).toHaveLength(4);
    expect(runs).toHaveLength(1);
  });

  test('are told to come back when the wait is over', async () => {
    let finish: () => void = () => undefined;
    const { client } = await shopWith(
      used,
      (_, callback) => {
        finish = () => callback(null, { charge: 'one', number: 1 });
      },
      { waitMs: 0 },
    );
    const key = newKey();
    const first = client.call('Charge', {}, { key });
    await until(
      'it runs',
      async () => (await used.onceward.calls.lookup({ ref: refOf(key) })).state === State.IN_PROGRESS,
    );
    const second = await client.call('Charge', {}, { key });
    expect(second.status.code).toBe(status.ABORTED);
    expect(reasonOf(second)).toBe('IN_PROGRESS');
    expect(Number(second.status.metadata.get('grpc-retry-pushback-ms')[0])).toBeGreaterThan(0);
    finish();
    await first;
  });

  test('whose callers leave are not executed later', async () => {
    let fail: () => void = () => undefined;
    const { client, runs } = await shopWith(used, (call, callback) => {
      if (runs.length > 1) return done(call, callback);
      fail = () => callback({ code: status.UNAVAILABLE, details: 'not now' });
    });
    const key = newKey();
    const [coordinator] = used.setup.coordinators;
    const waited = await counterOf(coordinator!, 'begin.waited');
    const inProgress = await counterOf(coordinator!, 'begin.in_progress');
    const first = client.call('Charge', {}, { key });
    const cancel = until('it waits', async () => (await counterOf(coordinator!, 'begin.waited')) > waited);
    const left = await client.call('Charge', {}, { key, cancel });
    expect(left.status.code).toBe(status.CANCELLED);
    // Once for the Begin that found it busy, once for the wait that ended, long before the call's deadline would end it, and once
    // for the one that asks whether it was granted meanwhile.
    const ended = async () => (await counterOf(coordinator!, 'begin.in_progress')) >= inProgress + 3n;
    await until('it waits no longer', ended, 8000);
    fail();
    expect((await first).status.code).toBe(status.UNAVAILABLE);
    expect(reply(await client.call('Charge', {}, { key }))).toMatchObject({ charge: 'ch_1' });
    expect(await used.onceward.calls.lookup({ ref: refOf(key) })).toMatchObject({ attempt: 2 });
    expect(runs).toHaveLength(2);
  });
});

describe('keys', () => {
  test('are minted for calls without one, and told', async () => {
    const { client, runs } = await shopWith(used, done);
    const [one, two] = [await client.call('Charge', {}), await client.call('Charge', {})];
    const minted = [one, two].map(({ status: { metadata } }) => String(metadata.get('idempotency-key')[0]));
    expect(minted[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(minted[1]).not.toBe(minted[0]);
    const again = await client.call('Charge', {}, { key: minted[0]! });
    expect(again.status.metadata.get('onceward-replayed')).toEqual(['true']);
    expect(runs).toHaveLength(2);
  });

  test('that are optional leave calls without one alone', async () => {
    const operations: unknown[] = [];
    const handler: Handler = (call, callback) => {
      operations.push(currentOperation());
      done(call, callback);
    };
    const { client } = await shopWith(used, handler, { key: 'optional' });
    expect(reply(await client.call('Charge', {})).number).toBe(7);
    expect(operations).toEqual([undefined]);
  });

  test('that are required are', async () => {
    const { client, runs } = await shopWith(used, done, { key: 'required' });
    const refused = await client.call('Charge', {});
    expect(refused.status).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'idempotency-key is required',
    });
    expect(runs).toHaveLength(0);
  });

  test.each([
    ['of a bad form', 'has space'],
    ['that are too long', 'k'.repeat(256)],
  ])('%s are refused', async (_, key) => {
    const { client, runs } = await shopWith(used, done);
    const refused = await client.call('Charge', {}, { key });
    expect(refused.status.code).toBe(status.INVALID_ARGUMENT);
    expect(reasonOf(refused)).toBe('KEY_INVALID');
    expect(runs).toHaveLength(0);
  });

  test('of another request are a mismatch', async () => {
    const { client, runs } = await shopWith(used, done);
    const key = newKey();
    await client.call('Charge', { order: 'a' }, { key });
    const refused = await client.call('Charge', { order: 'b' }, { key });
    expect(reasonOf(refused)).toBe('KEY_MISMATCH');
    expect(refused.status.code).toBe(status.FAILED_PRECONDITION);
    expect((await client.call('Refund', { order: 'a' }, { key })).status.code).toBe(
      status.FAILED_PRECONDITION,
    );
    expect(runs).toHaveLength(1);
  });

  test('of a chain that goes in circles are refused', async () => {
    const { client, runs } = await shopWith(used, done);
    const refused = await client.call('Charge', {}, { key: newKey(), metadata: { 'onceward-hops': '32' } });
    expect(reasonOf(refused)).toBe('TOO_MANY_HOPS');
    const passed = await client.call('Charge', {}, { key: newKey(), metadata: { 'onceward-hops': '31' } });
    expect(passed.status.code).toBe(status.OK);
    expect(runs).toHaveLength(1);
  });
});

describe('methods', () => {
  test('without side effects, and those to be skipped, are left alone', async () => {
    const { client, runs } = await shopWith(used, done);
    const key = newKey();
    for (const method of ['Quote', 'Quote', 'Ping', 'Ping']) {
      const answer = await client.call(method, {}, { key });
      expect(answer.status.metadata.get('onceward-replayed')).toEqual([]);
    }
    expect(runs).toHaveLength(4);
  });

  test('are left alone when their service is, but for those that are not', async () => {
    const methods = { Refund: { skip: false } };
    const { client, runs } = await shopWith(used, done, { skip: true, methods });
    const key = newKey();
    for (const method of ['Charge', 'Charge', 'Refund', 'Refund']) await client.call(method, {}, { key });
    expect(runs.map((call) => call.getPath())).toEqual([
      '/shop.v1.Shop/Charge',
      '/shop.v1.Shop/Charge',
      '/shop.v1.Shop/Refund',
    ]);
  });

  test('take their policy from their option, and from the program before that', async () => {
    const handler: Handler = (_, callback) =>
      callback({ code: status.RESOURCE_EXHAUSTED, details: 'none left' });
    const declared = await shopWith(used, handler);
    expect((await declared.client.call('Refund', {})).status.code).toBe(status.INVALID_ARGUMENT);
    const key = newKey();
    for (const times of [1, 2]) {
      const answer = await declared.client.call('Refund', {}, { key });
      expect(answer.status.metadata.get('onceward-replayed')).toHaveLength(times - 1);
    }
    const record = await used.onceward.calls.lookup({ ref: refOf(key) });
    expect(record).toMatchObject({ state: State.FAILED, expireTime: undefined });
    const coded = await shopWith(used, handler, { methods: { Refund: { key: 'minted', finalCodes: [] } } });
    expect((await coded.client.call('Refund', {})).status.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test('that stream their requests are refused at start, unless skipped', () => {
    const handlers = { Upload: () => undefined };
    expect(() => idempotentService(used.onceward, uploadsService, handlers)).toThrow(
      '/shop.v1.Uploads/Upload streams its requests, which can\'t be made idempotent: declare it "skip"',
    );
    expect(() =>
      idempotentService(used.onceward, uploadsService, handlers, { methods: { Upload: { skip: true } } }),
    ).not.toThrow();
  });

  test('that the service does not have are refused at start', () => {
    expect(() => idempotentService(used.onceward, shopService, {}, { methods: { Chrage: {} } })).toThrow(
      'methods.Chrage: the service has no such method',
    );
  });
});

test('an interceptor of the server sees the request, and what it puts in its place is what counts', async () => {
  const seen: unknown[] = [];
  const withoutNote: ServerInterceptor = (_, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMessage: (request: ChargeRequest, pass) => {
            seen.push({ order: request.order, note: request.note });
            pass({ ...request, note: '' });
          },
        }),
    });
  const guarded = idempotentService(
    used.onceward,
    shopService,
    { Charge: done },
    { descriptors: shopDescriptors() },
  );
  const server = await startServer(...guarded, { interceptors: [withoutNote] });
  const client = shopClient(server.address);
  onTestFinished(() => {
    client.close();
    server.stop();
  });
  const key = newKey();
  await client.call('Charge', { order: 'o', note: 'first' }, { key });
  const again = await client.call('Charge', { order: 'o', note: 'again' }, { key });
  expect(again.status.metadata.get('onceward-replayed')).toEqual(['true']);
  expect(seen).toEqual([
    { order: 'o', note: 'first' },
    { order: 'o', note: 'again' },
  ]);
});

test('a service that is set up wrongly says so, and its caller is not blamed', async () => {
  const { client, runs } = await shopWith(used, done, { leaseMs: 1 });
  const answer = await client.call('Charge', {}, { key: newKey() });
  expect(answer.status).toMatchObject({
    code: status.INTERNAL,
    details: 'the coordinator refused this service: lease must be 100 ms to 3600000 ms',
  });
  expect(runs).toEqual([]);
});

test('without a coordinator no handler runs, and the caller is told to come back', async () => {
  const lost = connectOnceward({ addresses: ['127.0.0.1:1'], namespace: 'test' });
  onTestFinished(() => lost.close());
  const runs: unknown[] = [];
  const handlers = { Charge: (call: Call) => runs.push(call) };
  const options = { beginTimeoutMs: 300 };
  const server = await startServer(...idempotentService(lost, shopService, handlers, options));
  const client = shopClient(server.address);
  onTestFinished(() => {
    client.close();
    server.stop();
  });
  const answer = await client.call('Charge', {}, { key: newKey() });
  expect(answer.status.code).toBe(status.UNAVAILABLE);
  expect(reasonOf(answer)).toBe('COORDINATOR_UNAVAILABLE');
  expect(runs).toEqual([]);
});

import { once } from 'node:events';
import { Agent, request as post, type IncomingMessage } from 'node:http';
import { context, propagation, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { describe, expect, onTestFinished, test } from 'vitest';
import { idempotentFetch } from '../../src/client/http-fetch.js';
import { idempotentMiddleware } from '../../src/client/http-middleware.js';
import type { HttpOptions } from '../../src/client/http-options.js';
import { connectOnceward } from '../../src/client/onceward.js';
import { currentOperation } from '../../src/client/operation.js';
import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { isReplay, newHttpKey, order, problemIn } from '../support/http-requests.js';
import { httpShop } from '../support/http-shop.js';
import { listen } from '../support/http-servers.js';
import { expireResult, lapse, travelling } from '../support/time-travel.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward(undefined, travelling);
const origin = 'http://shop.example';

/** A fetch-style shop, called as `order` calls one over the network. */
function shop(
  handler: (request: Request) => Response | Promise<Response>,
  options: HttpOptions<Request> = {},
) {
  const runs: Request[] = [];
  const guarded = idempotentFetch(used.onceward, options, (request) => {
    runs.push(request);
    return handler(request);
  });
  const send = (key: string, body: unknown = { amount: 10 }, init: RequestInit & { path?: string } = {}) => {
    const { path = '/orders', ...rest } = init;
    const given = typeof body === 'string' ? body : JSON.stringify(body);
    const more = rest.headers as Record<string, string> | undefined;
    const headers = { 'content-type': 'application/json', 'idempotency-key': key, ...more };
    return guarded(new Request(origin + path, { method: 'POST', body: given, ...rest, headers }));
  };
  return { runs, send, guarded };
}

const ok = () => new Response('ok');

describe('two requests are one when', () => {
  const same = async (first: string, second: string, init: RequestInit = {}) => {
    const { send } = shop(ok);
    const key = newHttpKey();
    await send(key, first, init);
    const { status } = await send(key, second, init);
    return status === 200;
  };

  test('their JSON says the same', async () => {
    expect(await same('{"a":1,"b":"x"}', ' {"b":"\\u0078", "a":1.0}')).toBe(true);
    expect(await same('[1,2]', '[2,1]')).toBe(false);
    expect(await same('{"a":null}', '{}')).toBe(false);
  });

  test('and not when their numbers differ beyond what a double holds', async () => {
    expect(await same('{"amount":12345678901234567890}', '{"amount":12345678901234567891}')).toBe(false);
    expect(await same('{"amount":1e400}', '{"amount":2e400}')).toBe(false);
    expect(await same('{"card":"4242424242424242","a":1}', '{"a":1,"card":"4242424242424242"}')).toBe(true);
  });

  test('what is no JSON has the same bytes', async () => {
    const text = { headers: { 'content-type': 'text/plain' } };
    expect(await same('{"a":1,"b":2}', '{"b":2,"a":1}', text)).toBe(false);
    expect(await same('{broken', '{broken')).toBe(true);
    expect(await same('{broken', '{ broken')).toBe(false);
    const deep = '['.repeat(100_000);
    expect(await same(deep, deep)).toBe(true);
  });
});

describe('options', () => {
  test('scopeOf keeps the keys of customers apart', async () => {
    const { send, runs } = shop(() => new Response(currentOperation()!.ref.scope), {
      scopeOf: (request) => Promise.resolve(request.headers.get('x-customer') ?? ''),
    });
    const key = newHttpKey();
    const as = (customer: string) => send(key, {}, { headers: { 'x-customer': customer } });
    expect(await (await as('ann')).text()).toBe('ann');
    expect(await (await as('bob')).text()).toBe('bob');
    expect(isReplay(await as('ann'))).toBe(true);
    expect(runs).toHaveLength(2);
  });

  test('operation defaults to method and path, and may be another', async () => {
    const operationOf = async (key: string) =>
      (await used.onceward.calls.lookup({ ref: refOf(key) })).operation;
    const long = newHttpKey();
    const named = newHttpKey();
    await shop(ok).send(long, {}, { path: `/ö rders/${'x'.repeat(300)}?secret=1` });
    await shop(ok, { operation: () => 'create-order' }).send(named);
    expect(await operationOf(long)).toBe(`POST:/%C3%B6%20rders/${'x'.repeat(300)}`.slice(0, 255));
    expect(await operationOf(named)).toBe('create-order');
  });

  test('what the service itself says wrongly is thrown, and nothing runs', async () => {
    for (const options of [{ scopeOf: () => 'ü' }, { operation: () => 'create order' }]) {
      const { send, runs } = shop(ok, options);
      await expect(send(newHttpKey())).rejects.toThrow(/must give \d to 255 visible ASCII characters/);
      expect(runs).toHaveLength(0);
    }
  });

  test('isFinal says what is stored', async () => {
    const { send, runs } = shop(() => new Response('conflict', { status: 409 }), {
      isFinal: (status) => status < 500,
    });
    const key = newHttpKey();
    await send(key);
    const second = await send(key);
    expect([second.status, isReplay(second), await second.text()]).toEqual([409, true, 'conflict']);
    expect(runs).toHaveLength(1);
  });

  test('methods says what is guarded', async () => {
    const { send, runs } = shop(ok, { methods: ['PUT'] });
    const key = newHttpKey();
    for (const method of ['PUT', 'PUT', 'POST', 'POST']) await send(key, {}, { method });
    expect(runs.map(({ method }) => method)).toEqual(['PUT', 'POST', 'POST']);
  });

  test('headers with credentials, of one response, or too large are not stored; the rest is', async () => {
    const headers: [string, string][] = [
      ...Array.from({ length: 80 }, (_, i): [string, string] => [`x-${i}`, 'y'.repeat(i === 0 ? 9000 : 100)]),
      ['set-cookie', 'session=1'],
      ['date', 'Thu, 01 Jan 2026 00:00:00 GMT'],
      ['x-latin', 'é'],
      ['x!odd', '1'],
      ['grpc-status', '1'],
      ['content-type', 'text/plain; charset=latin1'],
    ];
    const { send } = shop(() => new Response('ok', { headers }));
    const key = newHttpKey();
    const first = await send(key);
    const second = await send(key);
    expect(first.headers.get('set-cookie')).toBe('session=1');
    const { result } = await used.onceward.calls.lookup({ ref: refOf(key), withResult: true });
    expect(result?.contentType).toBe('text/plain');
    expect(second.headers.get('content-type')).toBe('text/plain; charset=latin1');
    for (const name of ['set-cookie', 'date', 'x-latin', 'x!odd', 'grpc-status', 'x-0']) {
      expect(second.headers.get(name)).toBeNull();
    }
    // 64 entries: the status, the content type, and 62 of these.
    expect([...second.headers.keys()].filter((name) => /^x-\d+$/.test(name))).toHaveLength(62);
  });

  test('replayHeaders says which are', async () => {
    const headers = { 'content-type': 'text/html', 'X-A': '1', 'x-b': '2' };
    const { send } = shop(() => new Response('ok', { headers }), { replayHeaders: ['x-a'] });
    const key = newHttpKey();
    await send(key);
    const { headers: replayed } = await send(key);
    expect(['content-type', 'x-a', 'x-b'].map((name) => replayed.get(name))).toEqual([
      'text/html',
      '1',
      null,
    ]);
  });

  test('maxRequestBytes bounds what is held for the fingerprint', async () => {
    const { send, runs } = shop(ok, { maxRequestBytes: 100 });
    expect((await send(newHttpKey(), 'x'.repeat(100))).status).toBe(200);
    const refused = await send(newHttpKey(), 'x'.repeat(101));
    expect(await problemIn(refused)).toMatchObject({ status: 413, reason: 'REQUEST_TOO_LARGE' });
    expect(runs).toHaveLength(1);
    const guarded = idempotentMiddleware(used.onceward, { maxRequestBytes: 100 });
    const url = await listen((request, response) => {
      void guarded(request, response, () => response.end('ran'));
    });
    expect((await order(url, newHttpKey(), 'x'.repeat(1_000_000))).status).toBe(413);
    expect(await (await order(url, newHttpKey(), 'x'.repeat(100))).text()).toBe('ran');
  });

  test('a connection goes on after a body that was too large for maxRequestBytes', async () => {
    const { url } = await httpShop(used, (response) => response.end(), { maxRequestBytes: 1000 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const statusOf = async (bytes: number) => {
      const headers = { 'idempotency-key': newHttpKey() };
      const sent = post(`${url}/orders`, { method: 'POST', agent, headers }).end(Buffer.alloc(bytes));
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    // More than the sockets between them hold.
    expect(await statusOf(20_000_000)).toBe(413);
    expect(await statusOf(1000)).toBe(200);
  });
});

describe('keys that get no answer', () => {
  const begun = async (key: string, onLapse = OnLapse.UNSPECIFIED) => {
    const { outcome } = await used.onceward.calls.begin({
      ref: refOf(key),
      operation: 'POST:/orders',
      attemptId: key,
      onLapse,
    });
    if (outcome?.$case !== 'execute') throw new Error(`expected a grant, got ${String(outcome?.$case)}`);
    return outcome.value.fencingToken;
  };

  test('one whose outcome is unknown, and what an operator makes of it', async () => {
    const { send, runs } = shop(ok);
    const key = newHttpKey();
    await begun(key, OnLapse.PARK);
    await lapse(used.setup.database, key);
    const response = await send(key);
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await problemIn(response)).toMatchObject({ status: 409, reason: 'INDETERMINATE' });
    expect(runs).toHaveLength(0);
  });

  test('one whose result is no longer kept', async () => {
    const { send } = shop(ok);
    const key = newHttpKey();
    await send(key);
    await expireResult(used.setup.database, key);
    const response = await send(key);
    expect(response.headers.get('retry-after')).toBeNull();
    expect(await problemIn(response)).toMatchObject({ status: 409, reason: 'RESULT_EXPIRED' });
  });

  test('one that was finished by other hands is answered all the same', async () => {
    const { send, runs } = shop(ok);
    const [completed, failed] = [newHttpKey(), newHttpKey()];
    await used.onceward.calls.complete({
      ref: refOf(completed),
      fencingToken: await begun(completed),
      result: {
        payload: Buffer.from('by hand'),
        contentType: 'text/plain',
        status: undefined,
        initialMetadata: [],
        trailingMetadata: [],
        payloadOmitted: false,
      },
    });
    await used.onceward.calls.fail({
      ref: refOf(failed),
      fencingToken: await begun(failed),
      kind: FailRequest_Kind.FINAL,
      status: { code: 5, message: 'no such order', details: Buffer.alloc(0) },
    });
    const first = await send(completed);
    expect([first.status, await first.text(), first.headers.get('content-type')]).toEqual([
      200,
      'by hand',
      'text/plain',
    ]);
    const second = await send(failed);
    expect(isReplay(second)).toBe(true);
    expect(await problemIn(second)).toMatchObject({
      status: 404,
      reason: 'NOT_FOUND',
      detail: 'no such order',
    });
    expect(runs).toHaveLength(0);
  });
});

test('one that ran, and can not be stored, says so', async () => {
  const proxy = await startFaultProxy({ target: used.setup.coordinators[0]!.address });
  const onceward = connectOnceward({ addresses: [proxy.address], namespace: 'test' });
  onTestFinished(async () => {
    onceward.close();
    await proxy.close();
  });
  const guarded = idempotentFetch(onceward, { finishTimeoutMs: 300 }, () => {
    proxy.refuse();
    proxy.cutAll();
    return ok();
  });
  const headers = { 'idempotency-key': newHttpKey() };
  const response = await guarded(new Request(`${origin}/orders`, { method: 'POST', headers }));
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(await problemIn(response)).toMatchObject({ status: 503, reason: 'RESULT_NOT_STORED' });
});

test('the trace of the caller goes on', async () => {
  new NodeTracerProvider().register();
  onTestFinished(() => {
    for (const api of [context, propagation, trace]) api.disable();
  });
  const { send } = shop(() => new Response(trace.getActiveSpan()?.spanContext().traceId));
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
  const key = newHttpKey();
  expect(await (await send(key, {}, { headers })).text()).toBe(traceId);
});

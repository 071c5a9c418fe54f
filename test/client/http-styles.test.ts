import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { connectOnceward } from '../../src/client/onceward.js';
import { currentOperation } from '../../src/client/operation.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { counterOf, refOf } from '../support/calls.js';
import { essenceOf, isReplay, newHttpKey, order, problemIn } from '../support/http-requests.js';
import { styles, type Handle } from '../support/http-servers.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();

describe.each(Object.entries(styles))('%s', (_, serve) => {
  /** The service, and the bodies of the requests it executed. */
  const shop = async (handle: Handle, options: Parameters<typeof serve>[1] = {}) => {
    const runs: string[] = [];
    const url = await serve(used.onceward, options, (body) => {
      runs.push(body);
      return handle(body);
    });
    return { url, runs };
  };
  const paid: Handle = () => ({
    status: 201,
    headers: { 'content-type': 'application/json; charset=utf-8', location: '/orders/7', 'x-cost': '12' },
    body: Buffer.from('{"id":7,"text":"ü"}'),
  });

  test('replays byte for byte, and marks it', async () => {
    const { url, runs } = await shop(paid);
    const key = newHttpKey();
    const first = await order(url, key);
    const second = await order(url, key);
    expect(isReplay(first)).toBe(false);
    expect(isReplay(second)).toBe(true);
    expect(first.status).toBe(201);
    expect(first.headers.get('location')).toBe('/orders/7');
    expect(await second.clone().json()).toEqual({ id: 7, text: 'ü' });
    expect(await essenceOf(second)).toEqual(await essenceOf(first));
    expect(runs).toEqual(['{"amount":10}']);
  });

  test('replays what is no text, and what is empty', async () => {
    const bytes = Buffer.from(Array.from({ length: 4096 }, (_, i) => i % 256));
    const { url, runs } = await shop((body) =>
      body.includes('empty') ? { status: 204 } : { headers: { 'content-type': 'image/png' }, body: bytes },
    );
    for (const body of [{ what: 'image' }, { what: 'empty' }]) {
      const key = newHttpKey();
      const first = await essenceOf(await order(url, key, body));
      expect(await essenceOf(await order(url, key, body))).toEqual(first);
    }
    expect(runs).toHaveLength(2);
  });

  test.each([400, 404, 422])('stores and replays a %i', async (status) => {
    const { url, runs } = await shop(() => ({ status, body: 'no: ü' }));
    const key = newHttpKey();
    const first = await order(url, key);
    expect(first.status).toBe(status);
    const second = await order(url, key);
    expect(isReplay(second)).toBe(true);
    expect(await essenceOf(second)).toEqual(await essenceOf(first));
    expect(runs).toHaveLength(1);
  });

  test.each([401, 409, 429, 500, 503])('frees the key after a %i', async (status) => {
    const { url, runs } = await shop(() =>
      runs.length === 1 ? { status, body: 'not now' } : { body: 'done' },
    );
    const key = newHttpKey();
    const first = await order(url, key);
    expect(first.status).toBe(status);
    expect(await first.text()).toBe('not now');
    const second = await order(url, key);
    expect([isReplay(second), await second.text()]).toEqual([false, 'done']);
    expect(runs).toHaveLength(2);
  });

  test('frees the key when the handler throws', async () => {
    const { url, runs } = await shop(() => {
      if (runs.length === 1) throw new Error('the database is away');
      return { body: 'done' };
    });
    const key = newHttpKey();
    const first = await order(url, key);
    expect(first.status).toBe(500);
    expect(await first.text()).not.toContain('at async');
    const second = await order(url, key);
    expect([second.status, await second.text()]).toEqual([200, 'done']);
  });

  test('refuses a key that is used for another request, by body, query or path', async () => {
    const { url, runs } = await shop(paid);
    const key = newHttpKey();
    await order(url, key);
    const others = [
      await order(url, key, { amount: 11 }),
      await order(url, key, { amount: 10 }, { path: '/orders?dry=1' }),
      await order(url, key, { amount: 10 }, { method: 'PATCH' }),
    ];
    for (const other of others) {
      expect(other.status).toBe(422);
      expect(await problemIn(other)).toMatchObject({
        type: 'application/problem+json',
        title: 'Unprocessable Entity',
        status: 422,
        reason: 'KEY_MISMATCH',
      });
      expect(other.headers.get('retry-after')).toBeNull();
    }
    expect(runs).toHaveLength(1);
  });

  test('takes JSON in another order, and a bare key, as the same request', async () => {
    const { url, runs } = await shop(paid);
    const key = newHttpKey();
    await order(url, key, '{"a":1,"b":[{"c":2,"d":3}]}');
    const again = await order(url, undefined, '{ "b": [{"d":3, "c":2}], "a": 1 }', {
      headers: { 'idempotency-key': key },
    });
    expect(isReplay(again)).toBe(true);
    expect(runs).toHaveLength(1);
  });

  test('lets requests of other methods and without a key pass', async () => {
    const { url, runs } = await shop(() => ({ body: String(currentOperation()?.ref.key) }));
    const key = newHttpKey();
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      const response = await fetch(`${url}/orders`, { method, headers: { 'idempotency-key': `"${key}"` } });
      expect(response.status).toBe(200);
      expect(isReplay(response)).toBe(false);
    }
    expect(await (await order(url, undefined)).text()).toBe('undefined');
    expect(await (await order(url, undefined)).text()).toBe('undefined');
    expect(runs).toHaveLength(5);
    await expect(used.onceward.calls.lookup({ ref: refOf(key) })).rejects.toMatchObject({
      reason: 'RECORD_NOT_FOUND',
    });
  });

  test('refuses a missing key, a bad one, and two', async () => {
    const { url, runs } = await shop(paid, { key: 'required' });
    expect(await problemIn(await order(url, undefined))).toMatchObject({
      type: 'application/problem+json',
      status: 400,
      reason: 'REQUEST_INVALID',
      detail: 'Idempotency-Key is required',
    });
    for (const value of ['"open', 'two words', '"a", "b"', 'a, b', `"${'x'.repeat(256)}"`, '""']) {
      const response = await order(url, undefined, {}, { headers: { 'idempotency-key': value } });
      expect(response.status).toBe(400);
      expect(await problemIn(response)).toMatchObject({ reason: 'KEY_INVALID' });
    }
    expect(runs).toHaveLength(0);
  });

  test.each([
    ['is held back', 1024],
    ['flows', 5],
  ])('mints a key, and tells it in a response that %s', async (_, maxResponseBytes) => {
    const { url, runs } = await shop(paid, { key: 'minted', maxResponseBytes });
    const first = await order(url, undefined);
    await first.text();
    const told = first.headers.get('idempotency-key') ?? '';
    expect(told).toMatch(/^"[0-9a-f-]{36}"$/);
    const second = await order(url, undefined, undefined, { headers: { 'idempotency-key': told } });
    expect(isReplay(second)).toBe(true);
    expect(runs).toHaveLength(1);
  });

  test('runs the handler inside of its operation', async () => {
    const { url } = await shop(() => {
      const { ref, guarded } = currentOperation()!;
      return { body: JSON.stringify({ ...ref, guarded }) };
    });
    const key = newHttpKey();
    expect(await (await order(url, key)).json()).toEqual({
      namespace: 'test',
      scope: '',
      key,
      guarded: true,
    });
  });

  test('answers 409 while the first is under way', async () => {
    let finish: (reply: { body: string }) => void = () => undefined;
    const { url, runs } = await shop(() => new Promise((resolve) => (finish = resolve)));
    const key = newHttpKey();
    const first = order(url, key);
    await until('it runs', () => runs.length === 1);
    const second = await order(url, key);
    expect(second.status).toBe(409);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await problemIn(second)).toMatchObject({ reason: 'IN_PROGRESS', title: 'Conflict' });
    finish({ body: 'one' });
    expect(await (await first).text()).toBe('one');
  });

  test('lets duplicates wait for the first', async () => {
    let finish: (reply: { body: string }) => void = () => undefined;
    const { url, runs } = await shop(() => new Promise((resolve) => (finish = resolve)), { waitMs: 20_000 });
    const waited = () => counterOf(used.setup.coordinators[0]!, 'begin.waited');
    const before = await waited();
    const key = newHttpKey();
    const requests = Array.from({ length: 5 }, () => order(url, key));
    await until('four wait', async () => (await waited()) >= before + 4n);
    finish({ body: 'one' });
    const answers = await Promise.all(requests);
    expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(Array(5).fill('one'));
    expect(answers.filter(isReplay)).toHaveLength(4);
    expect(runs).toHaveLength(1);
  });

  test('executes nothing for a caller that left while it waited', async () => {
    let finish: (reply: { status: number }) => void = () => undefined;
    const { url, runs } = await shop(
      () => (runs.length > 1 ? { body: 'done' } : new Promise((resolve) => (finish = resolve))),
      { waitMs: 20_000 },
    );
    const counted = (name: string) => counterOf(used.setup.coordinators[0]!, name);
    const [waited, inProgress] = [await counted('begin.waited'), await counted('begin.in_progress')];
    const key = newHttpKey();
    const first = order(url, key);
    await until('it runs', () => runs.length === 1);
    const leaving = new AbortController();
    const second = order(url, key, undefined, { signal: leaving.signal });
    await until('it waits', async () => (await counted('begin.waited')) > waited);
    leaving.abort();
    await expect(second).rejects.toThrow();
    // The Begin that found it busy, the wait that ended, and the Begin that looks whether that was granted in the end.
    await until(
      'it waits no longer',
      async () => (await counted('begin.in_progress')) >= inProgress + 3n,
      8000,
    );
    finish({ status: 503 });
    expect((await first).status).toBe(503);
    const third = await order(url, key);
    expect([isReplay(third), await third.text(), runs.length]).toEqual([false, 'done', 2]);
  });

  test('stores the result of a caller that left', async () => {
    let finish: (reply: { body: string }) => void = () => undefined;
    const { url, runs } = await shop(() => new Promise((resolve) => (finish = resolve)));
    const key = newHttpKey();
    const leaving = new AbortController();
    const first = order(url, key, undefined, { signal: leaving.signal });
    await until('it runs', () => runs.length === 1);
    leaving.abort();
    await expect(first).rejects.toThrow();
    finish({ body: 'done' });
    await until(
      'it is stored',
      async () => (await used.onceward.calls.lookup({ ref: refOf(key) })).state === State.COMPLETED,
    );
    const second = await order(url, key);
    expect([isReplay(second), await second.text()]).toEqual([true, 'done']);
    expect(runs).toHaveLength(1);
  });

  test('answers 503 when no coordinator can be reached', async () => {
    const runs: string[] = [];
    const away = connectOnceward({ addresses: ['127.0.0.1:1'], namespace: 'test' });
    const url = await serve(away, { beginTimeoutMs: 200 }, (body) => {
      runs.push(body);
      return {};
    });
    const response = await order(url, newHttpKey());
    away.close();
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await problemIn(response)).toMatchObject({ reason: 'COORDINATOR_UNAVAILABLE' });
    expect(runs).toHaveLength(0);
  });

  test('counts a response that is too large as done, and sends it', async () => {
    const large = Buffer.alloc(5000, 'x');
    const { url, runs } = await shop(() => ({ status: 201, body: large }), { maxResponseBytes: 4096 });
    const key = newHttpKey();
    const first = await order(url, key);
    expect([first.status, (await first.text()).length]).toEqual([201, 5000]);
    const second = await order(url, key);
    expect([second.status, isReplay(second)]).toEqual([409, true]);
    expect(await problemIn(second)).toMatchObject({ reason: 'RESULT_TOO_LARGE' });
    expect(second.headers.get('retry-after')).toBeNull();
    expect(runs).toHaveLength(1);
  });
});

test('the README shows code that is run here', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
  const [http = ''] = read('../../src/client/README.md').split('\n## HTTP\n')[1]?.split('\n## ') ?? [];
  const shown = [...http.matchAll(/```ts\n(.*?)```/gs)].flatMap(([, code = '']) => code.split('\n'));
  const run = read('../support/http-servers.ts');
  const lines = shown.map((line) => line.replace(/\/\/.*/, '').trim()).filter((line) => line !== '');
  expect(lines.length).toBeGreaterThan(0);
  expect(lines.filter((line) => !run.includes(line))).toEqual([]);
});

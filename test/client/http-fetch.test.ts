import { describe, expect, test } from 'vitest';
import { idempotentFetch } from '../../src/client/http-fetch.js';
import type { HttpOptions } from '../../src/client/http-options.js';
import { currentOperation } from '../../src/client/operation.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { isReplay, newHttpKey } from '../support/http-requests.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();
const stateOf = async (key: string) => (await used.onceward.calls.lookup({ ref: refOf(key) })).state;

function post(key: string, init: RequestInit = {}): Request {
  const headers = { 'idempotency-key': key };
  return new Request('http://shop.example/orders', { method: 'POST', body: 'one', ...init, headers });
}

/** A body that a test writes by and by. */
function written() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({ start: (given) => (controller = given) });
  return {
    body,
    write: (text: string) => controller?.enqueue(Buffer.from(text)),
    end: () => controller?.close(),
    fail: (error: Error) => controller?.error(error),
  };
}

function shop(
  handler: (request: Request) => Response | Promise<Response>,
  options: HttpOptions<Request> = {},
) {
  let runs = 0;
  const guarded = idempotentFetch(used.onceward, options, (request) => {
    runs += 1;
    return handler(request);
  });
  return { guarded, runs: () => runs };
}

const flows = { maxResponseBytes: 4 };

describe('a handler', () => {
  test('gets the request itself, its body unread, and further arguments', async () => {
    const guarded = idempotentFetch(
      used.onceward,
      {},
      async (request, { id }: { id: string }, more: number) => {
        return Response.json([request === given, await request.text(), id, more]);
      },
    );
    const given = post(newHttpKey());
    expect(await (await guarded(given, { id: '7' }, 8)).json()).toEqual([true, 'one', '7', 8]);
  });

  test('is told of a body that was read before', async () => {
    const { guarded, runs } = shop(() => new Response());
    const request = post(newHttpKey());
    await request.text();
    await expect(guarded(request)).rejects.toThrow('the body of the request was read before idempotentFetch');
    expect(runs()).toBe(0);
  });

  test('that throws is heard, and frees the key', async () => {
    const { guarded, runs } = shop(() => {
      if (runs() === 1) throw new Error('away');
      return new Response('done');
    });
    const key = newHttpKey();
    await expect(guarded(post(key))).rejects.toThrow('away');
    expect(await (await guarded(post(key))).text()).toBe('done');
  });

  test('may answer without a body, by a redirect, or by an error of the network', async () => {
    const answers: readonly (() => Response)[] = [
      () => new Response(null, { status: 204 }),
      () => Response.redirect('http://shop.example/orders/7', 303),
    ];
    for (const answer of answers) {
      const { guarded, runs } = shop(answer, { key: 'minted' });
      const key = newHttpKey();
      const first = await guarded(post(key));
      const second = await guarded(post(key));
      expect([second.status, second.headers.get('location')]).toEqual([
        first.status,
        first.headers.get('location'),
      ]);
      expect(isReplay(second)).toBe(true);
      expect(runs()).toBe(1);
    }
    const { guarded } = shop(() => Response.error(), { key: 'minted' });
    const response = await guarded(new Request('http://shop.example/orders', { method: 'POST' }));
    expect(response.type).toBe('error');
  });
});

describe('a streamed body', () => {
  test('is held back to its end, and replayed', async () => {
    const stream = written();
    const { guarded, runs } = shop(() => new Response(stream.body, { status: 201 }));
    const key = newHttpKey();
    const first = guarded(post(key));
    for (const text of ['a', 'b', 'c']) stream.write(text);
    await until('it runs', async () => runs() === 1 && (await stateOf(key)) === State.IN_PROGRESS);
    stream.end();
    expect(await (await first).text()).toBe('abc');
    const second = await guarded(post(key));
    expect([second.status, isReplay(second), await second.text()]).toEqual([201, true, 'abc']);
  });

  test('that breaks frees the key', async () => {
    const stream = written();
    const { guarded, runs } = shop(() => new Response(runs() === 1 ? stream.body : 'done'));
    const key = newHttpKey();
    const first = guarded(post(key));
    stream.write('a');
    stream.fail(new Error('the source broke'));
    await expect(first).rejects.toThrow('the source broke');
    expect(await (await guarded(post(key))).text()).toBe('done');
  });

  test('beyond the bound flows, inside of its operation, and ends when it is stored', async () => {
    const keys: (string | undefined)[] = [];
    let left = 5;
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const source = {
      pull: async (controller: ReadableStreamDefaultController<Uint8Array>) => {
        keys.push(currentOperation()?.ref.key);
        left -= 1;
        if (left === 0) await opened;
        if (left === 0) controller.close();
        else controller.enqueue(Buffer.from('abc'));
      },
    };
    const { guarded } = shop(
      () => new Response(new ReadableStream(source), { headers: { 'content-length': '12' } }),
      flows,
    );
    const key = newHttpKey();
    const response = await guarded(post(key));
    expect(response.headers.get('content-length')).toBeNull();
    expect(await stateOf(key)).toBe(State.IN_PROGRESS);
    open();
    expect(await response.text()).toBe('abcabcabcabc');
    expect(await stateOf(key)).toBe(State.COMPLETED);
    expect(new Set(keys)).toEqual(new Set([key]));
    expect((await guarded(post(key))).status).toBe(409);
  });

  test('that flows is read to its end when its caller leaves', async () => {
    let pulls = 0;
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const source = {
      pull: async (controller: ReadableStreamDefaultController<Uint8Array>) => {
        pulls += 1;
        if (pulls === 2) await opened;
        if (pulls === 5) controller.close();
        else controller.enqueue(Buffer.from('abcdef'));
      },
    };
    const { guarded } = shop(() => new Response(new ReadableStream(source, { highWaterMark: 0 })), flows);
    const key = newHttpKey();
    const reader = (await guarded(post(key))).body!.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('abcdef');
    const pending = reader.read();
    const cancelled = reader.cancel();
    expect((await pending).done).toBe(true);
    open();
    await cancelled;
    expect(pulls).toBe(5);
    await until('it is stored', async () => (await stateOf(key)) === State.COMPLETED);
  });

  test('that flows and breaks frees the key', async () => {
    const stream = written();
    const { guarded, runs } = shop(() => new Response(runs() === 1 ? stream.body : 'ok'), flows);
    const key = newHttpKey();
    const answered = guarded(post(key));
    stream.write('abcdef');
    const response = await answered;
    stream.fail(new Error('the source broke'));
    await expect(response.text()).rejects.toThrow('the source broke');
    await until('it is free', async () => (await stateOf(key)) === State.RELEASED);
    expect(await (await guarded(post(key))).text()).toBe('ok');
  });

  test('that flows breaks when another execution took over', async () => {
    const stream = written();
    const { guarded, runs } = shop(() => new Response(runs() === 1 ? stream.body : 'two'), flows);
    const key = newHttpKey();
    const answered = guarded(post(key));
    stream.write('abcdef');
    const response = await answered;
    await lapse(used.setup.database, key);
    expect(await (await guarded(post(key))).text()).toBe('two');
    stream.end();
    await expect(response.text()).rejects.toThrow('another execution took over');
  });
});

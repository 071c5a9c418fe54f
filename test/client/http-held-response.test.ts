import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { idempotentMiddleware } from '../../src/client/http-middleware.js';
import type { HttpOptions } from '../../src/client/http-options.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { essenceOf, isReplay, newHttpKey, order, problemIn } from '../support/http-requests.js';
import { listen } from '../support/http-servers.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();
type Handler = (response: ServerResponse, request: IncomingMessage) => unknown;

/** A node:http service, what its guard rejected with, and what ran before the guard. */
async function shop(handler: Handler, options: HttpOptions<IncomingMessage> = {}, before?: Handler) {
  const guarded = idempotentMiddleware(used.onceward, options);
  const runs: IncomingMessage[] = [];
  const thrown: unknown[] = [];
  const url = await listen((request, response) => {
    before?.(response, request);
    const run = () => {
      runs.push(request);
      return handler(response, request);
    };
    guarded(request, response, run).catch((error: unknown) => thrown.push(error));
  });
  return { url, runs, thrown };
}

const stateOf = async (key: string) => (await used.onceward.calls.lookup({ ref: refOf(key) })).state;

/** Sends a request and gives its connection, with all that comes back. */
async function sendRaw(url: string, key: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk)).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`POST /orders HTTP/1.1\r\nhost: x\r\nidempotency-key: ${key}\r\ncontent-length: 0\r\n\r\n`);
  return { socket, text: () => Buffer.concat(received).toString() };
}

describe('what a handler does with its response', () => {
  test.each<[string, Handler]>([
    [
      'write and end',
      (response) => {
        response.statusCode = 201;
        response.write('a');
        response.write('62', 'hex');
        response.write(new Uint8Array([99]), () => response.end('d', 'utf8'));
      },
    ],
    [
      'writeHead with an object',
      (response) => response.writeHead(201, { 'x-a': '1', 'x-b': ['2', '3'] }).end('abcd'),
    ],
    ['writeHead with a phrase', (response) => response.writeHead(201, 'Made', { 'x-a': '1' }).end('abcd')],
    ['writeHead without one', (response) => response.writeHead(201, undefined, { 'x-a': '1' }).end('abcd')],
    [
      'writeHead with a list',
      (response) => response.writeHead(201, ['x-a', '1', 'x-b', '2', 'x-b', '3']).end('abcd'),
    ],
    [
      'flushHeaders',
      (response) => {
        response.statusCode = 201;
        response.flushHeaders();
        response.end('abcd');
      },
    ],
    [
      'a stream',
      async (response) => {
        response.statusCode = 201;
        await pipeline(Readable.from(['ab', 'cd']), response);
      },
    ],
    [
      'a buffer that is used again',
      (response) => {
        const buffer = Buffer.from('ab');
        response.statusCode = 201;
        response.write(buffer, () => {
          buffer.write('cd');
          response.end(buffer);
        });
      },
    ],
  ])('%s', async (_, handler) => {
    const { url, runs } = await shop(handler);
    const key = newHttpKey();
    const first = await order(url, key);
    expect([first.status, await first.clone().text()]).toEqual([201, 'abcd']);
    const second = await order(url, key);
    expect(isReplay(second)).toBe(true);
    expect(await essenceOf(second)).toEqual(await essenceOf(first));
    expect(runs).toHaveLength(1);
  });

  test('nothing of it is sent before it is stored', async () => {
    let end = (): void => undefined;
    const { url, runs } = await shop((response) => {
      response.writeHead(200);
      response.write('early');
      expect(response.headersSent).toBe(false);
      end = () => {
        response.end('late');
        expect([response.headersSent, response.writableEnded]).toEqual([true, true]);
      };
    });
    const key = newHttpKey();
    const { socket, text } = await sendRaw(url, key);
    await until('it runs', () => runs.length === 1);
    // Time enough for a whole other request.
    expect((await order(url, key)).status).toBe(422);
    expect(text()).toBe('');
    end();
    await until('it comes', () => text().includes('earlylate'));
    socket.destroy();
  });

  test('an error after the body began is another answer', async () => {
    const { url, runs } = await shop((response) => {
      response.setHeader('content-length', 400);
      response.write('{"half":');
      response.writeHead(500).end('failed');
    });
    const key = newHttpKey();
    const first = await order(url, key);
    expect([first.status, await first.text()]).toEqual([500, 'failed']);
    await order(url, key);
    expect(runs).toHaveLength(2);
  });

  test('what comes after the end does not count', async () => {
    const { url, thrown } = await shop((response) => {
      response.end('one');
      response.setHeader('x-late', '1');
      response.statusCode = 500;
      expect(response.write('two')).toBe(false);
      response.end('three');
    });
    const key = newHttpKey();
    for (const response of [await order(url, key), await order(url, key)]) {
      expect([response.status, await response.text(), response.headers.get('x-late')]).toEqual([
        200,
        'one',
        null,
      ]);
    }
    expect(thrown).toEqual([]);
  });

  test('one it throws is told, answered with 500, and frees the key', async () => {
    const { url, runs, thrown } = await shop((response) => {
      response.setHeader('x-half', '1');
      if (runs.length === 1) throw new Error('away');
      response.end();
    });
    const key = newHttpKey();
    const first = await order(url, key);
    expect(await problemIn(first)).toMatchObject({
      status: 500,
      reason: 'INTERNAL',
      detail: 'the request failed',
    });
    expect(first.headers.get('x-half')).toBeNull();
    expect(thrown).toMatchObject([{ message: 'away' }]);
    expect((await order(url, key)).status).toBe(200);
  });

  test('one it destroys is cut off, and frees the key', async () => {
    const { url, runs, thrown } = await shop(async (response) => {
      if (runs.length > 1) return response.end('done');
      const broken = Readable.from(['a', 'b']).map(() => Promise.reject(new Error('the source broke')));
      return pipeline(broken, response).catch(() => undefined);
    });
    const key = newHttpKey();
    await expect(order(url, key)).rejects.toThrow();
    expect(await (await order(url, key)).text()).toBe('done');
    expect(thrown).toEqual([]);
  });

  test('a status that is none is thrown to it', async () => {
    const { url, thrown } = await shop((response) => {
      response.statusCode = 42;
      response.end();
    });
    expect((await order(url, newHttpKey())).status).toBe(500);
    expect(thrown).toMatchObject([{ message: 'the status of a response must be 200 to 999, is 42' }]);
  });

  test('headers that were there before it are not stored', async () => {
    let requests = 0;
    const { url } = await shop(
      (response) => response.setHeader('x-own', '1').end(),
      {},
      (response) => response.setHeader('x-request-id', String((requests += 1))),
    );
    const key = newHttpKey();
    const told = ({ headers }: Response) => [headers.get('x-request-id'), headers.get('x-own')];
    expect(told(await order(url, key))).toEqual(['1', '1']);
    expect(told(await order(url, key))).toEqual(['2', '1']);
  });

  test('what others had put in place of its methods is used, and left there', async () => {
    const seen: string[] = [];
    const { url } = await shop(
      (response) => response.end('body'),
      {},
      (response) => {
        const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse;
        Object.assign(response, {
          end: (...args: unknown[]) => {
            seen.push(String(args[0]));
            return end(...args);
          },
        });
      },
    );
    const key = newHttpKey();
    await order(url, key);
    await order(url, key);
    expect(seen).toEqual(['body', 'body']);
  });
});

describe('a caller that leaves', () => {
  test('is not noticed by the handler until its response is stored', async () => {
    const closed: string[] = [];
    let write: (text: string) => void = () => undefined;
    const { url, runs } = await shop((response) => {
      response.on('close', () => closed.push('close'));
      const source = new Readable({ read: () => undefined });
      write = (text) => source.push(text === '' ? null : text);
      return pipeline(source, response).catch(() => undefined);
    });
    const key = newHttpKey();
    const { socket } = await sendRaw(url, key);
    await until('it runs', () => runs.length === 1);
    write('one,');
    socket.destroy();
    await until('the server knows', () => runs[0]!.socket.destroyed);
    expect(closed).toEqual([]);
    write('two');
    write('');
    await until('it is stored', async () => (await stateOf(key)) === State.COMPLETED);
    await until('it is told', () => closed.length === 1);
    const replayed = await sendRaw(url, key);
    await until('the replay', () => replayed.text().includes('one,two'));
    expect(runs).toHaveLength(1);
  });

  test('does not stop one that flows', async () => {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let more: () => Promise<void> = () => Promise.resolve();
    const { url, runs } = await shop(
      (response) => {
        more = async () => {
          for (let i = 0; i < 64; i += 1) if (!response.write(chunk)) await once(response, 'drain');
          response.end();
        };
        response.write(chunk);
      },
      { maxResponseBytes: 1024 },
    );
    const key = newHttpKey();
    const { socket, text } = await sendRaw(url, key);
    await until('it flows', () => text().includes('xxx'));
    // It takes nothing more, so the handler waits for it, and then it leaves.
    socket.pause();
    const written = more();
    await until('the handler waits', () => runs[0]!.socket.writableNeedDrain);
    socket.destroy();
    await written;
    await until('it is done', async () => (await stateOf(key)) === State.COMPLETED);
  });
});

describe('a response beyond the bound', () => {
  test('flows, and ends when it is stored', async () => {
    let end = (): void => undefined;
    const { url } = await shop(
      (response) => {
        response.writeHead(201, { 'content-length': 8, 'x-a': '1' });
        response.write('1234');
        response.write('5678');
        expect(response.headersSent).toBe(true);
        end = () => response.end();
      },
      { maxResponseBytes: 6 },
    );
    const key = newHttpKey();
    const { socket, text } = await sendRaw(url, key);
    await until('it flows', () => text().includes('5678'));
    expect(text()).toMatch(/^HTTP\/1.1 201 Created\r\nx-a: 1\r\n/);
    expect(text()).not.toContain('content-length');
    expect(await stateOf(key)).toBe(State.IN_PROGRESS);
    end();
    await until('it ends', () => text().endsWith('0\r\n\r\n'));
    expect(await stateOf(key)).toBe(State.COMPLETED);
    socket.destroy();
  });

  test('is cut off when another execution took over', async () => {
    let end = (): void => undefined;
    const { url, runs } = await shop(
      (response) => {
        if (runs.length === 2) return response.end('two');
        response.write('one, and too much');
        end = () => response.end();
        return undefined;
      },
      { maxResponseBytes: 6 },
    );
    const key = newHttpKey();
    const { socket, text } = await sendRaw(url, key);
    await until('it flows', () => text().includes('too much'));
    await lapse(used.setup.database, key);
    const winner = await sendRaw(url, key);
    await until('the second is done', () => winner.text().endsWith('two'));
    const closed = once(socket, 'close');
    end();
    await closed;
    expect(text()).not.toContain('0\r\n\r\n');
    winner.socket.destroy();
  });
});

test('one that lost its lease is answered with what the winner stored', async () => {
  let end = (): void => undefined;
  const { url, runs } = await shop((response) => {
    if (runs.length === 2) return response.end('two');
    response.setHeader('x-own', '1');
    end = () => response.end('one');
    return undefined;
  });
  const key = newHttpKey();
  const first = order(url, key);
  await until('it runs', () => runs.length === 1);
  await lapse(used.setup.database, key);
  expect(await (await order(url, key)).text()).toBe('two');
  end();
  const late = await first;
  expect([isReplay(late), await late.text(), late.headers.get('x-own')]).toEqual([true, 'two', null]);
});

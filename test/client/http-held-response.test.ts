import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import type { HttpOptions } from '../../src/client/http-options.js';
import { essenceOf, isReplay, newHttpKey, order, problemIn } from '../support/http-requests.js';
import { httpShop, sendRaw, type Handler } from '../support/http-shop.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();
const shop = (handler: Handler, options: HttpOptions<IncomingMessage> = {}, before?: Handler) =>
  httpShop(used, handler, options, before);

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

  test('or one without a body', async () => {
    const { url } = await shop((response) => {
      response.write('{"half":');
      response.statusCode = 404;
      response.end();
    });
    const first = await order(url, newHttpKey());
    expect([first.status, await first.text()]).toEqual([404, '']);
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
    // Its caller learns of the cut before the coordinator learns of the failure.
    await until('it is free', async () => (await (await order(url, key)).text()) === 'done');
    expect(runs).toHaveLength(2);
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

  test.each<[string, Handler, number]>([
    ['held back', (response) => response.end('body'), 1024],
    ['held back, and writes its head itself', (response) => response.writeHead(200).end('body'), 1024],
    ['flowing', (response) => response.end('body'), 1],
  ])('headers that are set when its head is written are sent: %s', async (_, handler, maxResponseBytes) => {
    let heads = 0;
    const { url } = await shop(
      (response, request) => {
        // As the package on-headers does, behind the guard.
        const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
        Object.assign(response, {
          writeHead: (...args: unknown[]) => {
            response.setHeader('x-head', String((heads += 1)));
            return writeHead(...args);
          },
        });
        return handler(response, request);
      },
      { maxResponseBytes },
    );
    const key = newHttpKey();
    const first = await order(url, key);
    expect([await first.text(), first.headers.get('x-head')]).toEqual(['body', '1']);
    const second = await order(url, key);
    expect([isReplay(second), second.headers.get('x-head')]).toEqual([
      true,
      maxResponseBytes > 1 ? '1' : null,
    ]);
    expect(heads).toBe(1);
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

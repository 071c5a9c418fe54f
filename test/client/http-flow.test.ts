import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import type { HttpOptions } from '../../src/client/http-options.js';
import { State } from '../../src/gen/onceward/v1/record.js';
import { refOf } from '../support/calls.js';
import { isReplay, newHttpKey, order } from '../support/http-requests.js';
import { httpShop, sendRaw, type Handler } from '../support/http-shop.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';
import { useOnceward } from '../support/use-onceward.js';

const used = useOnceward();
const shop = (handler: Handler, options: HttpOptions<IncomingMessage> = {}, before?: Handler) =>
  httpShop(used, handler, options, before);
const stateOf = async (key: string) => (await used.onceward.calls.lookup({ ref: refOf(key) })).state;

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

  test.each([
    ['is held back', 1024],
    ['flows', 1],
  ])('does not stop a handler that pipes only then, where its response %s', async (_, maxResponseBytes) => {
    let pipe = (): void => undefined;
    const { url, runs, thrown } = await shop(
      async (response) => {
        await new Promise<void>((resolve) => (pipe = resolve));
        await pipeline(Readable.from(['one,', 'two']), response);
      },
      { maxResponseBytes },
    );
    const key = newHttpKey();
    const { socket } = await sendRaw(url, key);
    await until('it runs', () => runs.length === 1);
    const left = once(runs[0]!.socket, 'close');
    socket.destroy();
    await left;
    pipe();
    await until('it is done', async () => (await stateOf(key)) !== State.IN_PROGRESS);
    expect(await stateOf(key)).toBe(State.COMPLETED);
    expect(thrown).toEqual([]);
  });

  test('does not stop one that flows', async () => {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let more: () => Promise<void> = () => Promise.resolve();
    const { url, runs } = await shop(
      (response) => {
        more = async () => {
          for (let i = 0; i < 64; i += 1) if (!response.write(chunk)) await once(response, 'drain');
          await pipeline(Readable.from(['and more']), response);
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

describe('a response that somebody else answers', () => {
  test('while the guard waits for another execution is left alone', async () => {
    const responses: ServerResponse[] = [];
    let end = (): void => undefined;
    const { url, runs, thrown, settled } = await shop(
      (response) => {
        end = () => response.end('done');
      },
      { waitMs: 60_000 },
      (response) => responses.push(response),
    );
    const key = newHttpKey();
    const first = order(url, key);
    await until('it runs', () => runs.length === 1);
    const waiting = order(url, key);
    await until('the second came', () => responses.length === 2);
    responses[1]!.writeHead(503).end('timed out');
    const second = await waiting;
    expect([second.status, await second.text()]).toEqual([503, 'timed out']);
    end();
    expect(await (await first).text()).toBe('done');
    await settled();
    expect(thrown).toEqual([]);
    expect(runs).toHaveLength(1);
  });

  test('before its handler ran is left alone, and the handler does not run', async () => {
    const responses: ServerResponse[] = [];
    const { url, runs, thrown, settled } = await shop(
      (response) => response.setHeader('x-own', '1').end('done'),
      {},
      (response) => {
        if (responses.push(response) === 1) response.writeHead(503).write('timed ');
      },
    );
    const key = newHttpKey();
    const first = await order(url, key);
    await settled();
    responses[0]!.end('out');
    expect([first.status, await first.text()]).toEqual([503, 'timed out']);
    expect(runs).toHaveLength(0);
    expect(await (await order(url, key)).text()).toBe('done');
    expect(thrown).toEqual([]);
  });

  test('before it could be replayed is left alone', async () => {
    const responses: ServerResponse[] = [];
    const { url, thrown, settled } = await shop(
      (response) => response.end('done'),
      {},
      (response) => {
        if (responses.push(response) === 2) response.writeHead(503).write('timed ');
      },
    );
    const key = newHttpKey();
    await order(url, key);
    const second = await order(url, key);
    await settled();
    responses[1]!.end('out');
    expect([second.status, await second.text()]).toEqual([503, 'timed out']);
    expect(thrown).toEqual([]);
  });
});

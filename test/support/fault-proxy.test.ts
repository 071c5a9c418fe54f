import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type FaultProxyOptions, startFaultProxy } from './fault-proxy.js';
import { until } from './until.js';

/** Answers what it hears, and remembers it. */
const heard: string[] = [];
const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    heard.push(String(chunk));
    socket.write(`re: ${String(chunk)}`);
  });
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

test('passes everything both ways', async () => {
  const { proxy, dial } = await start();
  expect(await dial().ask('passed')).toBe('re: passed');
  expect(proxy.counts).toMatchObject({ connections: 1, requests: 1, cut: 0, answersLost: 0 });
});

test('loses a request: the server never hears it, the caller is cut', async () => {
  const { proxy, dial } = await start();
  const caller = dial();
  expect(await caller.ask('before')).toBe('re: before');
  const lost = proxy.loseNextRequest((chunk) => chunk.includes('lost request'));
  expect(await caller.ask('other')).toBe('re: other');
  expect(await caller.ask('lost request')).toBe('cut');
  await lost;
  expect(heard).not.toContain('lost request');
  expect(proxy.counts.cut).toBe(1);
  expect(await dial().ask('again')).toBe('re: again');
});

test('loses an answer: the server heard it, the caller is cut', async () => {
  const { proxy, dial } = await start();
  const lost = proxy.loseNextAnswer();
  expect(await dial().ask('lost answer')).toBe('cut');
  await lost;
  expect(heard).toContain('lost answer');
  expect(proxy.counts.answersLost).toBe(1);
});

test('refuses new connections and keeps the old ones', async () => {
  const { proxy, dial } = await start();
  const old = dial();
  expect(await old.ask('old')).toBe('re: old');
  proxy.refuse();
  expect(await dial().ask('new')).toBe('cut');
  expect(await old.ask('still')).toBe('re: still');
  proxy.pass();
  expect(await dial().ask('newer')).toBe('re: newer');
  expect(proxy.counts.refused).toBe(1);
});

test('stalls without closing, until it is told to cut', async () => {
  const { proxy, dial } = await start();
  const caller = dial();
  expect(await caller.ask('flowing')).toBe('re: flowing');
  proxy.stall();
  const stalled = caller.ask('stalled');
  proxy.pass();
  // The answer to a later question on another connection shows that the stalled one had its chance.
  expect(await dial().ask('flows again')).toBe('re: flows again');
  expect(heard).not.toContain('stalled');
  expect(caller.socket.destroyed).toBe(false);
  proxy.cutAll();
  expect(await stalled).toBe('cut');
  expect(proxy.counts.stalled).toBe(1);
});

test('does the same random harm with the same seed', async () => {
  const harm = async (seed: number) => {
    const { proxy, dial } = await start({ random: { seed, cut: 0.3, loseAnswer: 0.3 } });
    const answers: string[] = [];
    for (let i = 0; i < 40; i += 1) answers.push(await dial().ask(`${seed}-${i}`));
    return { answers: answers.map((answer) => answer === 'cut'), counts: proxy.counts };
  };
  const first = await harm(7);
  expect(await harm(7)).toEqual(first);
  expect(first.counts.cut).toBeGreaterThan(4);
  expect(first.counts.answersLost).toBeGreaterThan(4);
  expect((await harm(8)).answers).not.toEqual(first.answers);
});

test('close ends everything', async () => {
  const { proxy, dial } = await start();
  const caller = dial();
  expect(await caller.ask('last')).toBe('re: last');
  await proxy.close();
  await until('the caller is cut', () => caller.socket.destroyed);
});

async function start(options: Partial<FaultProxyOptions> = {}) {
  const { port } = server.address() as AddressInfo;
  const proxy = await startFaultProxy({ target: `127.0.0.1:${port}`, ...options });
  onTestFinished(() => proxy.close());
  return { proxy, dial: () => dial(proxy.port) };
}

function dial(port: number): { readonly socket: Socket; ask(text: string): Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  return {
    socket,
    ask: (text) =>
      new Promise((resolve) => {
        const closed = () => resolve('cut');
        socket.once('close', closed);
        socket.once('data', (answer) => {
          socket.off('close', closed);
          resolve(String(answer));
        });
        socket.write(text);
      }),
  };
}

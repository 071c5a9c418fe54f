import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { idempotentMiddleware } from '../../src/client/http-middleware.js';
import type { HttpOptions } from '../../src/client/http-options.js';
import { listen } from './http-servers.js';
import type { UsedOnceward } from './use-onceward.js';

export type Handler = (response: ServerResponse, request: IncomingMessage) => unknown;

/** A node:http service, what its guard rejected with, and when it is done with all requests. `before` runs before the guard. */
export async function httpShop(
  { onceward }: UsedOnceward,
  handler: Handler,
  options: HttpOptions<IncomingMessage> = {},
  before?: Handler,
) {
  const guarded = idempotentMiddleware(onceward, options);
  const runs: IncomingMessage[] = [];
  const thrown: unknown[] = [];
  const guards: Promise<unknown>[] = [];
  const url = await listen((request, response) => {
    before?.(response, request);
    const run = () => {
      runs.push(request);
      return handler(response, request);
    };
    guards.push(guarded(request, response, run).catch((error: unknown) => thrown.push(error)));
  });
  return { url, runs, thrown, settled: () => Promise.all(guards) };
}

/** Sends a request and gives its connection, with all that comes back. */
export async function sendRaw(url: string, key: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk)).on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(`POST /orders HTTP/1.1\r\nhost: x\r\nidempotency-key: ${key}\r\ncontent-length: 0\r\n\r\n`);
  return { socket, text: () => Buffer.concat(received).toString() };
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { onTestFinished } from 'vitest';
import { idempotentFetch } from '../../src/client/http-fetch.js';
import { idempotentMiddleware } from '../../src/client/http-middleware.js';
import type { HttpOptions } from '../../src/client/http-options.js';
import type { Onceward } from '../../src/client/onceward.js';

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** What a server does with the body of a request to `/orders`. */
export type Handle = (body: string) => Reply | Promise<Reply>;
type Options = HttpOptions<unknown>;

/** The same service on every kind of server, and where it listens. */
export const styles: Readonly<
  Record<string, (onceward: Onceward, options: Options, handle: Handle) => Promise<string>>
> = {
  'node:http': (onceward, options, handle) => {
    const guarded = idempotentMiddleware(onceward, options);
    const answer = async (request: IncomingMessage, response: Parameters<RequestListener>[1]) => {
      const { status = 200, headers, body } = await handle(await text(request));
      response.writeHead(status, headers).end(body);
    };
    return listen((request, response) => {
      guarded(request, response, () => answer(request, response)).catch(() => undefined);
    });
  },
  'express, before its body parser': (onceward, options, handle) => {
    const app = quiet();
    app.use(idempotentMiddleware(onceward, options), express.json());
    return expressShop(app, handle);
  },
  'express, after its body parser': (onceward, options, handle) => {
    const app = quiet();
    app.use(express.json(), idempotentMiddleware(onceward, options));
    return expressShop(app, handle);
  },
  fastify: async (onceward, options, handle) => {
    const guarded = idempotentMiddleware(onceward, options);
    const app = fastify();
    app.addHook('onRequest', (request, reply, done) => {
      void guarded(request.raw, reply.raw, done);
    });
    app.all('/orders', async (request, reply) => {
      const body = request.body === undefined ? '' : JSON.stringify(request.body);
      const { status = 200, headers = {}, body: sent } = await handle(body);
      return reply.code(status).headers(headers).send(sent);
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    onTestFinished(() => app.close());
    return urlOf(app.server);
  },
  hono: async (onceward, options, handle) => {
    const guarded = idempotentFetch(onceward, options, async (request) => {
      const { status = 200, headers = {}, body = null } = await handle(await request.text());
      return new Response(body, { status, headers });
    });
    const app = new Hono();
    app.onError((_, context) => context.text('thrown', 500));
    app.all('/orders', (context) => guarded(context.req.raw));
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
    await once(server, 'listening');
    onTestFinished(() => close(server));
    return urlOf(server);
  },
};

/** A plain server for one test. */
export async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => close(server));
  return urlOf(server);
}

function quiet(): express.Express {
  // In `test` its last error handler does not print.
  return express().set('env', 'test');
}

function expressShop(app: express.Express, handle: Handle): Promise<string> {
  app.all('/orders', async (request, response) => {
    const given: unknown = request.body;
    const {
      status = 200,
      headers = {},
      body,
    } = await handle(given === undefined ? '' : JSON.stringify(given));
    response.status(status).set(headers).send(body);
  });
  return listen(app);
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
}

import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Why no calls should be sent here; undefined when they should. */
  readonly notReady: () => string | undefined;
  /** All metrics in Prometheus' text format; undefined: they are not served. */
  readonly metricsText: (() => Promise<string>) | undefined;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

const metricsType = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };

/** `/healthz`: the process lives. `/readyz`: it can serve calls; 503 says why not. `/metrics`: for Prometheus. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { host, port, notReady, metricsText } = options;
  const app = new Hono();
  app.get('/healthz', (context) => context.text('ok\n'));
  app.get('/readyz', (context) => {
    const reason = notReady();
    return reason === undefined ? context.text('ok\n') : context.text(`${reason}\n`, 503);
  });
  if (metricsText !== undefined) {
    app.get('/metrics', async (context) => context.body(await metricsText(), 200, metricsType));
  }
  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        if ('closeAllConnections' in server) server.closeAllConnections();
      }),
  };
}

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { metricsOf, spansOf, type ExportedMetric, type ExportedSpan } from './otlp.js';

/** Something that takes OTLP over HTTP. */
export interface Collector {
  readonly url: string;
  /** Everything it was sent, undecoded. */
  readonly bodies: readonly Uint8Array[];
  readonly requests: readonly { readonly path: string; readonly contentType: string | undefined }[];
  spans(): readonly ExportedSpan[];
  metrics(): readonly ExportedMetric[];
  close(): Promise<void>;
}

/** `silent` takes requests and never answers them. */
export async function startCollector({ silent = false } = {}): Promise<Collector> {
  const received: { path: string; contentType: string | undefined; body: Uint8Array }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '', headers } = request;
      received.push({ path, contentType: headers['content-type'], body: Buffer.concat(chunks) });
      if (!silent) response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bodies = (path: string) => received.filter((each) => each.path === path).map(({ body }) => body);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get bodies() {
      return received.map(({ body }) => body);
    },
    get requests() {
      return received;
    },
    spans: () => bodies('/v1/traces').flatMap(spansOf),
    metrics: () => bodies('/v1/metrics').flatMap(metricsOf),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

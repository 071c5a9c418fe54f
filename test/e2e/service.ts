import { NodeTracerProvider, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import pg from 'pg';
import { connectOnceward, idempotentService } from '../../src/index.js';
import { serviceOf } from './example.js';

/** A span as the run looks at it. */
export interface SeenSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** Arguments of each service's process. */
export interface ServiceArguments {
  readonly port: string;
  readonly databaseUrl: string;
  readonly coordinator: string;
  /** Of the service it calls. */
  readonly next: string;
}

export function serviceArguments(): ServiceArguments {
  const [port = '0', databaseUrl = '', coordinator = '', next = ''] = process.argv.slice(2);
  return { port, databaseUrl, coordinator, next };
}

/** Serves until the run ends. */
export function serve(
  name: 'Shop' | 'Payment' | 'Ledger',
  namespace: string,
  { port, coordinator }: ServiceArguments,
  handlers: UntypedServiceImplementation,
): void {
  const onceward = connectOnceward({ addresses: [coordinator], namespace });
  const server = new Server();
  server.addService(...idempotentService(onceward, serviceOf(name), handlers));
  server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
    if (error) throw error;
    process.send?.({ port: bound });
  });
  process.on('disconnect', () => process.exit());
}

export function openPool({ databaseUrl }: ServiceArguments): pg.Pool {
  return new pg.Pool({ connectionString: databaseUrl, max: 8 });
}

/** Gives every span that ended to `see`. */
export function trackSpans(see: (span: SeenSpan) => void): void {
  const seen = (span: ReadableSpan): SeenSpan => {
    const { traceId, spanId } = span.spanContext();
    const { name, attributes, links } = span;
    return { name, traceId, spanId, attributes, links: links.map((link) => link.context) };
  };
  const exporter = {
    export: (spans: ReadableSpan[], done: (result: { code: 0 }) => void) => {
      for (const span of spans) see(seen(span));
      done({ code: 0 });
    },
    shutdown: () => Promise.resolve(),
  };
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
}

/** The same, over the channel to the run. */
export function reportSpans(): void {
  trackSpans((span) => {
    if (span.name === 'onceward.operation') process.send?.({ span });
  });
}

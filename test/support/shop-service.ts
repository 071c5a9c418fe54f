import { fileURLToPath } from 'node:url';
import {
  Client,
  credentials,
  Metadata,
  Server,
  type CallOptions,
  type ChannelOptions,
  type MethodDefinition,
  type ServerOptions,
  type ServiceDefinition,
  type StatusObject,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { listen } from './listen.js';
import { loadSync } from '@grpc/proto-loader';

export interface ChargeRequest {
  readonly order?: string;
  readonly cents?: number;
  readonly note?: string;
  readonly lines?: readonly { readonly sku?: string; readonly comment?: string }[];
  readonly prices?: Readonly<Record<string, { readonly sku?: string; readonly comment?: string }>>;
  readonly coupon?: string;
}

export interface ChargeReply {
  readonly charge: string;
  readonly number: number;
}

const includeDirs = ['../client/', '../../proto/'].map((dir) => fileURLToPath(new URL(dir, import.meta.url)));
const loaded = loadSync('shop.proto', { includeDirs, defaults: true, longs: Number });
export const shopService = loaded['shop.v1.Shop'] as ServiceDefinition;
export const uploadsService = loaded['shop.v1.Uploads'] as ServiceDefinition;

export function shopMethod(name: string): MethodDefinition<ChargeRequest, ChargeReply> {
  return shopService[name] as MethodDefinition<ChargeRequest, ChargeReply>;
}

export interface TestServer {
  readonly address: string;
  stop(): void;
}

/** Any service on a free port. */
export async function startServer(
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
  options: ServerOptions = {},
): Promise<TestServer> {
  const server = new Server(options);
  server.addService(definition, implementation);
  const address = await listen(server);
  return { address, stop: () => server.forceShutdown() };
}

/** All that a caller gets of one call, in bytes. */
export interface Received {
  readonly messages: readonly Buffer[];
  readonly initial: Metadata;
  readonly status: StatusObject;
}

export interface ShopClient {
  /** Sends the bytes or the message; a key goes into the metadata. */
  call(method: string, request: ChargeRequest | Buffer, more?: CallMore): Promise<Received>;
  close(): void;
}

interface CallMore {
  readonly key?: string;
  readonly metadata?: Record<string, string | Buffer>;
  readonly options?: CallOptions;
  /** When it resolves, the caller leaves. */
  readonly cancel?: Promise<unknown>;
}

export function shopClient(
  address: string,
  options: ChannelOptions & { interceptors?: [] } = {},
): ShopClient {
  const client = new Client(address, credentials.createInsecure(), options);
  return {
    call: (name, request, { key, metadata: given = {}, options: callOptions = {}, cancel } = {}) => {
      const { path, requestSerialize } = shopMethod(name);
      const metadata = new Metadata();
      for (const [entry, value] of Object.entries(given)) metadata.set(entry, value);
      if (key !== undefined) metadata.set('idempotency-key', key);
      return new Promise((resolve) => {
        const messages: Buffer[] = [];
        let initial = new Metadata();
        // Taken as a stream, a unary answer shows its bytes, and its status when there are none.
        const call = client.makeServerStreamRequest(
          path,
          (value: ChargeRequest | Buffer) => (Buffer.isBuffer(value) ? value : requestSerialize(value)),
          (bytes: Buffer) => bytes,
          request,
          metadata,
          { deadline: Date.now() + 20_000, ...callOptions },
        );
        void cancel?.then(() => call.cancel());
        call.on('metadata', (received) => {
          initial = received;
        });
        call.on('data', (bytes: Buffer) => messages.push(bytes));
        call.on('error', () => undefined);
        call.on('status', (status) => resolve({ messages, initial, status }));
      });
    },
    close: () => client.close(),
  };
}

export function reply({ messages }: Received): ChargeReply {
  const [bytes] = messages;
  if (bytes === undefined) throw new Error('there is no reply');
  return shopMethod('Charge').responseDeserialize(bytes);
}

import { fileURLToPath } from 'node:url';
import {
  Client,
  credentials,
  Metadata,
  type CallOptions,
  type MethodDefinition,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { propagate } from '../../src/index.js';

export interface PlaceOrderRequest {
  readonly order: string;
  readonly cents: number;
}
export interface PlacedOrder {
  readonly order: string;
  readonly charge: string;
}
export interface ChargeRequest {
  readonly order: string;
  readonly cents: number;
}
export interface Charged {
  readonly charge: string;
}
export interface PostRequest {
  readonly order: string;
  readonly account: 'customer' | 'merchant';
  readonly cents: number;
}
export interface Posted {
  readonly entry: string;
}

const loaded = loadSync(fileURLToPath(new URL('example.proto', import.meta.url)));

export function serviceOf(name: 'Shop' | 'Payment' | 'Ledger'): ServiceDefinition {
  return loaded[`example.v1.${name}`] as ServiceDefinition;
}

/** A handler as an async function; what it throws is the call's error. */
export function handler<Request, Reply>(handle: (request: Request) => Promise<Reply>) {
  return (call: ServerUnaryCall<Request, Reply>, callback: sendUnaryData<Reply>): void => {
    handle(call.request).then(
      (reply) => callback(null, reply),
      (error: unknown) => callback(error as ServiceError),
    );
  };
}

/** One method of another service as an async function. */
export interface Remote<Request, Reply> {
  (request: Request, options?: CallOptions): Promise<Reply>;
  close(): void;
}

const deadlineMs = 5000;

/**
 * Calls go through a pool of connections, one call at a time on each, so that a connection that is cut costs one call. The interceptor gives them their
 * keys and sends them again under these.
 */
export function remote<Request, Reply>(
  address: string,
  service: 'Shop' | 'Payment' | 'Ledger',
  method: string,
): Remote<Request, Reply> {
  const { path, requestSerialize, responseDeserialize } = serviceOf(service)[method] as MethodDefinition<
    Request,
    Reply
  >;
  const idle: Client[] = [];
  const newClient = () =>
    new Client(address, credentials.createInsecure(), {
      interceptors: [propagate({ retry: { maxAttempts: 20, initialBackoffMs: 20, maxBackoffMs: 200 } })],
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 20,
      'grpc.max_reconnect_backoff_ms': 100,
    });
  const call = (request: Request, options: CallOptions = {}): Promise<Reply> => {
    const client = idle.pop() ?? newClient();
    return new Promise((resolve, reject) => {
      const callOptions = { deadline: Date.now() + deadlineMs, ...options };
      const metadata = new Metadata();
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        callOptions,
        (error, reply) => {
          idle.push(client);
          if (error) reject(error);
          else resolve(reply as Reply);
        },
      );
    });
  };
  const close = () => {
    for (const client of idle.splice(0)) client.close();
  };
  return Object.assign(call, { close });
}

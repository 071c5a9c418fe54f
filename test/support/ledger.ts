import {
  Client,
  credentials,
  Metadata,
  type CallOptions,
  type ClientOptions,
  type sendUnaryData,
  type ServiceError,
} from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { propagate, type PropagationOptions } from '../../src/client/propagate.js';
import type { Call, Handler } from './guarded-shop.js';
import {
  shopMethod,
  shopService,
  startServer,
  type ChargeReply,
  type ChargeRequest,
} from './shop-service.js';

export type Charge = (
  request: ChargeRequest,
  options?: CallOptions,
  metadata?: Metadata,
) => Promise<ChargeReply>;

export const method = shopMethod('Charge');
export const done: Handler = (_, callback) => callback(null, { charge: 'c', number: 1 });

/** A plain server that shows what arrives, and a client with the interceptor. */
export async function ledgerWith(
  handler: Handler = done,
  propagation: PropagationOptions = {},
  clientOptions: ClientOptions = {},
) {
  const calls: Call[] = [];
  const server = await startServer(shopService, {
    Charge: (call: Call, callback: sendUnaryData<ChargeReply>) => {
      calls.push(call);
      handler(call, callback);
    },
  });
  const { charge, close } = clientOf(server.address, {
    interceptors: [propagate(propagation)],
    ...clientOptions,
  });
  onTestFinished(() => {
    close();
    server.stop();
  });
  const keysSeen = () => calls.map(({ metadata }) => metadata.get('idempotency-key')[0]?.toString());
  return { calls, charge, keysSeen, address: server.address };
}

export function clientOf(address: string, options: ClientOptions): { charge: Charge; close: () => void } {
  const client = new Client(address, credentials.createInsecure(), options);
  const charge: Charge = (request, callOptions = {}, metadata = new Metadata()) =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + 15_000, ...callOptions },
        (error: ServiceError | null, reply?: ChargeReply) => {
          if (error) reject(error);
          else resolve(reply!);
        },
      );
    });
  return { charge, close: () => client.close() };
}

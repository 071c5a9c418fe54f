import { Metadata, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { onTestFinished } from 'vitest';
import { callErrorOf } from '../../src/client/call-error.js';
import type { ServiceOptions } from '../../src/client/guarded-method.js';
import { idempotentService } from '../../src/client/service.js';
import { shopDescriptors } from './shop-descriptors.js';
import {
  shopClient,
  shopService,
  startServer,
  type ChargeReply,
  type ChargeRequest,
  type Received,
} from './shop-service.js';
import type { UsedOnceward } from './use-onceward.js';

export type Call = ServerUnaryCall<ChargeRequest, ChargeReply>;
export type Handler = (call: Call, callback: sendUnaryData<ChargeReply>) => void;

export const done: Handler = (_, callback) => callback(null, { charge: 'ch_1', number: 7 });

const descriptors = shopDescriptors();
let keys = 0;

export function newKey(): string {
  keys += 1;
  return `shop-${keys}`;
}

/** A shop whose unary methods are one handler, and how often that ran. */
export async function shopWith({ onceward }: UsedOnceward, handler: Handler, options: ServiceOptions = {}) {
  const runs: Call[] = [];
  const counted: Handler = (call, callback) => {
    runs.push(call);
    return handler(call, callback);
  };
  const unary = { Charge: counted, Refund: counted, Quote: counted, Ping: counted };
  const guarded = idempotentService(onceward, shopService, unary, { descriptors, ...options });
  const server = await startServer(...guarded);
  const client = shopClient(server.address);
  onTestFinished(() => {
    client.close();
    server.stop();
  });
  return { runs, client };
}

export function metadataOf(entries: Record<string, string | Buffer>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
}

export function reasonOf({ status: { code, details, metadata } }: Received): string {
  return callErrorOf(Object.assign(new Error(details), { code, details, metadata })).reason;
}

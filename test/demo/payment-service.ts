import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface ChargeRequest {
  readonly orderId: string;
  readonly amountCents: number;
}

export interface ChargeResponse {
  readonly chargeId: string;
}

const file = fileURLToPath(new URL('payment.proto', import.meta.url));

/** The service as both sides load it from its proto. */
export const paymentService = loadSync(file)['demo.v1.Payment'] as ServiceDefinition;
export const chargeMethod = paymentService['Charge'] as MethodDefinition<ChargeRequest, ChargeResponse>;

export const keyHeader = 'idempotency-key';

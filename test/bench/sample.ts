import { Result } from '../../src/gen/onceward/v1/record.js';

const result: Result = {
  payload: Buffer.alloc(256, 'onceward'),
  contentType: 'application/grpc+proto',
  status: undefined,
  initialMetadata: [],
  trailingMetadata: [],
  payloadOmitted: false,
};

/** What every cycle says, to the coordinator and to pgbench alike; only the keys and tokens differ. */
export const sample = {
  namespace: 'bench',
  scope: 'customer-1',
  operation: '/bench.Payments/Charge',
  fingerprint: { version: 1, digest: Buffer.alloc(32, 7) },
  attemptId: '00000000-0000-4000-8000-000000000000',
  result,
  /** As the coordinator stores what of a result is not payload. */
  envelope: Buffer.from(Result.encode({ ...result, payload: undefined }).finish()),
  resultDigest: Buffer.alloc(16, 9),
};

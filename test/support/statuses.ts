import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import type { FailRequest } from '../../src/gen/onceward/v1/coordinator.js';
import type { KeyRef, Status } from '../../src/gen/onceward/v1/record.js';

export function statusOf(code: number, message = '', details: Uint8Array = Buffer.alloc(0)): Status {
  return { code, message, details: Buffer.from(details) };
}

/** Gives a lease back. */
export function retryable(
  ref: KeyRef,
  fencingToken: bigint,
  more: Partial<FailRequest> = {},
): Partial<FailRequest> {
  return { ref, fencingToken, kind: FailRequest_Kind.RETRYABLE, status: statusOf(14, 'db down'), ...more };
}

/** Fails for good. */
export function final(
  ref: KeyRef,
  fencingToken: bigint,
  more: Partial<FailRequest> = {},
): Partial<FailRequest> {
  return { ref, fencingToken, kind: FailRequest_Kind.FINAL, status: statusOf(9, 'no funds'), ...more };
}

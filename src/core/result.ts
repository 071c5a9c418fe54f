import { hash, timingSafeEqual } from 'node:crypto';

/** What a finished operation answered. */
export interface Result {
  /** The caller's bytes; undefined when there are none, which is not the same as empty. */
  readonly payload: Uint8Array | undefined;
  /** True when the payload was too large and was not kept. */
  readonly payloadOmitted: boolean;
  /** The gRPC status code, 0 to 16. */
  readonly code: number;
  /** Content type, status and metadata, encoded once at the door and never looked into again. */
  readonly envelope: Uint8Array;
}

/**
 * Tells a result from another, also after its payload was omitted or stripped: 16 bytes of SHA-256. Not against forgery:
 * only the holder of the token can present a second result.
 */
export function resultDigest(result: Result): Uint8Array {
  // No payload, and one the caller found too large to send, are two answers.
  const length = result.payload?.length ?? (result.payloadOmitted ? 'omitted' : 'absent');
  const header = Buffer.from(`${result.code} ${result.envelope.length} ${length}\n`);
  const parts = [header, result.envelope];
  if (result.payload !== undefined) parts.push(result.payload);
  return hash('sha256', Buffer.concat(parts), 'buffer').subarray(0, 16);
}

export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Keeps the promise that the operation is done while dropping a payload over the limit. */
export function withinLimit(result: Result, maxBytes: number): Result {
  if (result.payload === undefined || result.payload.length <= maxBytes) return result;
  return { ...result, payload: undefined, payloadOmitted: true };
}

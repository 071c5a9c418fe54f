import { status, type ServiceError } from '@grpc/grpc-js';
import type { FieldViolation } from '../core/errors.js';
import { fromDuration } from './duration.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';

/** A coordinator call that broke its promise. Expected outcomes are values and never pass through here. */
export class CallError extends Error {
  override readonly name = 'CallError';

  constructor(
    /** gRPC status code, 1 to 16. */
    readonly code: status,
    /** The coordinator's reason, e.g. `LEASE_LOST`; the code's name when the error came from anywhere else. */
    readonly reason: string,
    message: string,
    /** True when the coordinator itself said so; false for the transport, a proxy, our own deadline. */
    readonly fromCoordinator: boolean,
    readonly violations: readonly FieldViolation[],
    /** When a retry makes sense, ms. */
    readonly retryAfterMs: number | undefined,
    /** For programs, e.g. the state found. */
    readonly metadata: Readonly<Record<string, string>>,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** What a failed call says, with the details the coordinator put into the trailers. */
export function callErrorOf(error: ServiceError): CallError {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return callErrorWith(error.code, error.details, Buffer.isBuffer(bytes) ? detailsIn(bytes) : [], error);
}

/** What the answer to one call of a frame says. */
export function callErrorOfStatus({ code, message, details }: Status): CallError {
  return callErrorWith(statusCodeOf(code), message, details, undefined);
}

/** An error of our own making: the coordinator did not answer. */
export function localError(code: status, message: string, cause?: unknown): CallError {
  return callErrorWith(code, message, [], cause);
}

/** The name of a gRPC code, e.g. 5 → `NOT_FOUND`. */
export function codeName(code: number): string {
  return status[code] ?? `CODE_${code}`;
}

/** The gRPC code of a name or a number, e.g. `NOT_FOUND` or `5` → 5; undefined if there is none. */
export function codeOf(text: string): number | undefined {
  const code = /^\d+$/.test(text) ? Number(text) : codesByName.get(text.toUpperCase());
  return code !== undefined && code in status ? code : undefined;
}

/** A number off the wire; one that gRPC does not have is UNKNOWN. */
export function statusCodeOf(code: number): status {
  return codesByNumber.get(code) ?? status.UNKNOWN;
}

const entries = Object.entries(status).flatMap(([name, code]) =>
  typeof code === 'number' ? [[name, code] as const] : [],
);
const codesByName: ReadonlyMap<string, number> = new Map(entries);
const codesByNumber: ReadonlyMap<number, status> = new Map(entries.map(([, code]) => [code, code]));

function callErrorWith(code: status, message: string, details: Status['details'], cause: unknown): CallError {
  let info: ErrorInfo | undefined;
  let violations: readonly FieldViolation[] = [];
  let retryAfterMs: number | undefined;
  for (const { typeUrl, value } of details) {
    try {
      switch (typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) {
        case 'google.rpc.ErrorInfo': {
          const found = ErrorInfo.decode(value);
          if (found.domain === 'onceward') info = found;
          break;
        }
        case 'google.rpc.BadRequest':
          violations = BadRequest.decode(value).fieldViolations;
          break;
        case 'google.rpc.RetryInfo': {
          const { retryDelay } = RetryInfo.decode(value);
          if (retryDelay) retryAfterMs = fromDuration(retryDelay);
        }
      }
    } catch {
      // Details that can't be read must not hide the status they came with.
    }
  }
  const reason = info?.reason ?? codeName(code);
  const { metadata } = info ?? { metadata: {} };
  const fromCoordinator = info !== undefined;
  // It is made where an answer or a timer comes in. The stack there says nothing of the caller, and was a fifth of what an
  // overloaded service did.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new CallError(code, reason, message, fromCoordinator, violations, retryAfterMs, metadata, cause);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function detailsIn(bytes: Buffer): Status['details'] {
  try {
    return Status.decode(bytes).details;
  } catch {
    return [];
  }
}

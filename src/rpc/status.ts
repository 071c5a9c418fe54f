import { Metadata, status, type ServerErrorResponse } from '@grpc/grpc-js';
import { OncewardError, type Reason } from '../core/errors.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { durationOf } from './duration.js';
import { encode } from './encode.js';

/** The one table from reasons to gRPC codes. */
const codes: Readonly<Record<Reason, status>> = {
  KEY_INVALID: status.INVALID_ARGUMENT,
  REQUEST_INVALID: status.INVALID_ARGUMENT,
  KEY_MISMATCH: status.FAILED_PRECONDITION,
  KEY_TOO_OLD: status.FAILED_PRECONDITION,
  STATE_CONFLICT: status.FAILED_PRECONDITION,
  LEASE_LOST: status.ABORTED,
  RESULT_CONFLICT: status.ABORTED,
  RECORD_NOT_FOUND: status.NOT_FOUND,
  NAMESPACE_NOT_FOUND: status.NOT_FOUND,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  QUOTA_EXCEEDED: status.RESOURCE_EXHAUSTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  STORE_UNAVAILABLE: status.UNAVAILABLE,
  CANCELLED: status.CANCELLED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  INTERNAL: status.INTERNAL,
};

const typePrefix = 'type.googleapis.com/google.rpc.';
/** What all errors name as their domain. */
const errorDomain = 'onceward';

/** Errors from the closed set pass; anything else is our fault, logged by the caller and withheld from the client. */
export function toOncewardError(error: unknown): OncewardError {
  if (error instanceof OncewardError) return error;
  return new OncewardError('INTERNAL', 'internal error; see the log of the coordinator', { cause: error });
}

/** Name of the code that a call ends with. */
export function codeNameOf(error: OncewardError): string {
  return status[codes[error.reason]];
}

/** The error in Google's model: code, message, and details for programs. */
export function rpcStatusOf(error: OncewardError): Status {
  const { reason, metadata, retryAfterMs, violations } = error;
  const details = [any('ErrorInfo', encode(ErrorInfo, { reason, domain: errorDomain, metadata }))];
  if (retryAfterMs !== undefined) {
    details.push(any('RetryInfo', encode(RetryInfo, { retryDelay: durationOf(retryAfterMs) })));
  }
  if (violations.length > 0) {
    details.push(any('BadRequest', encode(BadRequest, { fieldViolations: [...violations] })));
  }
  return { code: codes[reason], message: error.message, details };
}

/** The error as a unary call ends with it. */
export function serviceErrorOf(error: OncewardError): ServerErrorResponse {
  const rpcStatus = rpcStatusOf(error);
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(encode(Status, rpcStatus)));
  const { name, message } = error;
  return { name, message, code: codes[error.reason], details: message, metadata };
}

function any(type: string, value: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: `${typePrefix}${type}`, value: Buffer.from(value) };
}

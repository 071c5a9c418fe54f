import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { OncewardError } from '../core/errors.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { CallError } from './call-error.js';
import { toDuration } from './duration.js';
import { OperationError } from './operation-error.js';

export interface Told {
  readonly code: status;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number | undefined;
  readonly violations?: CallError['violations'];
}

/**
 * What a guarded method answers when it has neither run nor a stored result, with the details programs read. ABORTED carries
 * `grpc-retry-pushback-ms`, so that a stock client with a retry policy comes back when it makes sense.
 */
export function richErrorOf(error: unknown): ServiceError {
  const told = toldOf(error);
  const { code, reason, message, retryAfterMs, violations = [] } = told;
  const any = (type: string, value: Uint8Array) => ({
    typeUrl: `type.googleapis.com/google.rpc.${type}`,
    value: Buffer.from(value),
  });
  const details = [any('ErrorInfo', ErrorInfo.encode({ reason, domain: 'onceward', metadata: {} }).finish())];
  const metadata = new Metadata();
  if (retryAfterMs !== undefined) {
    details.push(any('RetryInfo', RetryInfo.encode({ retryDelay: toDuration(retryAfterMs) }).finish()));
    metadata.set('grpc-retry-pushback-ms', String(Math.ceil(retryAfterMs)));
  }
  if (violations.length > 0) {
    details.push(any('BadRequest', BadRequest.encode({ fieldViolations: [...violations] }).finish()));
  }
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code, message, details }).finish()));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** What is told of an error of the guard's own. */
export function toldOf(error: unknown): Told {
  if (error instanceof OperationError) return error;
  if (error instanceof OncewardError && error.reason === 'REQUEST_INVALID') {
    const { reason, message, violations } = error;
    return { code: status.INVALID_ARGUMENT, reason, message, violations };
  }
  if (!(error instanceof CallError)) {
    return { code: status.INTERNAL, reason: 'INTERNAL', message: 'the idempotency check failed' };
  }
  const { code, reason, message, retryAfterMs, violations } = error;
  if (callersFault.has(reason)) return { code, reason, message, violations };
  if (passing.has(code)) {
    const text = 'the idempotency check is not available, and the call was not executed';
    return { code: status.UNAVAILABLE, reason: 'COORDINATOR_UNAVAILABLE', message: text, retryAfterMs };
  }
  // The service itself is set up wrongly: nothing its caller could mend.
  return { code: status.INTERNAL, reason, message: `the coordinator refused this service: ${message}` };
}

/** What a caller did wrong with its key. */
const callersFault: ReadonlySet<string> = new Set(['KEY_INVALID', 'KEY_MISMATCH', 'KEY_TOO_OLD']);
const passing: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
]);

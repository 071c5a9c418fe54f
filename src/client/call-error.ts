import { status, type ServiceError } from '@grpc/grpc-js';
import type { FieldViolation } from '../core/errors.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';

/** A coordinator call that broke its promise. Expected outcomes are values and never pass through here. */
export class CallError extends Error {
  override readonly name = 'CallError';

  constructor(
    /** gRPC status code, 1 to 16. */
    readonly code: number,
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
  const details = detailsOf(error);
  return new CallError(
    error.code,
    details.info?.reason ?? codeName(error.code),
    error.details,
    details.info !== undefined,
    details.violations,
    details.retryAfterMs,
    details.info?.metadata ?? {},
    error,
  );
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

const codesByName: ReadonlyMap<string, number> = new Map(
  Object.entries(status).flatMap(([name, code]) => (typeof code === 'number' ? [[name, code] as const] : [])),
);

interface Details {
  info: ErrorInfo | undefined;
  violations: readonly FieldViolation[];
  retryAfterMs: number | undefined;
}

function detailsOf(error: ServiceError): Details {
  const found: Details = { info: undefined, violations: [], retryAfterMs: undefined };
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (!Buffer.isBuffer(bytes)) return found;
  try {
    for (const { typeUrl, value } of Status.decode(bytes).details) {
      const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
      if (type === 'google.rpc.ErrorInfo') {
        const info = ErrorInfo.decode(value);
        if (info.domain === 'onceward') found.info = info;
      } else if (type === 'google.rpc.BadRequest') {
        found.violations = BadRequest.decode(value).fieldViolations;
      } else if (type === 'google.rpc.RetryInfo') {
        const delay = RetryInfo.decode(value).retryDelay;
        if (delay) found.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
      }
    }
  } catch {
    // Details that can't be read must not hide the status they came with.
  }
  return found;
}

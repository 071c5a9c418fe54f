/** Broken promises, from a closed set. Expected outcomes are values and never pass through here. */
export type Reason =
  | 'KEY_INVALID'
  | 'REQUEST_INVALID'
  | 'KEY_MISMATCH'
  | 'KEY_TOO_OLD'
  | 'STATE_CONFLICT'
  | 'LEASE_LOST'
  | 'RESULT_CONFLICT'
  | 'RECORD_NOT_FOUND'
  | 'NAMESPACE_NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'QUOTA_EXCEEDED'
  | 'OVERLOADED'
  | 'STORE_UNAVAILABLE'
  | 'CANCELLED'
  | 'DEADLINE_EXCEEDED'
  | 'INTERNAL';

/** One bad field of a request. */
export interface FieldViolation {
  /** Path in proto names, e.g. `ref.key`. */
  readonly field: string;
  /** What is wrong, with the bound; never the value, which may be a secret. */
  readonly description: string;
}

export interface ErrorDetails {
  readonly violations?: readonly FieldViolation[];
  /** When a retry makes sense, ms. */
  readonly retryAfterMs?: number;
  /** For programs, e.g. the state found. Never a key, payload or token. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** For the log only. */
  readonly cause?: unknown;
}

export class OncewardError extends Error {
  override readonly name = 'OncewardError';
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(
    readonly reason: Reason,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs;
    this.metadata = details.metadata ?? {};
  }
}

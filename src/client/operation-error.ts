import { status } from '@grpc/grpc-js';

export type OperationReason =
  /** Another execution is at it, for longer than was waited. */
  | 'IN_PROGRESS'
  /** Parked: the outcome is unknown until an operator resolves it. */
  | 'INDETERMINATE'
  /** It was done, and its result is no longer kept. */
  | 'RESULT_EXPIRED'
  /** It was done, and its result was too large to keep. */
  | 'RESULT_TOO_LARGE'
  /** This execution lost its lease, and the one that took over has not finished yet. */
  | 'LEASE_LOST'
  /** It was executed, and how it ended could not be stored: when the lease has lapsed, the next call executes it again. */
  | 'RESULT_NOT_STORED'
  /** The call went through more services than the hop limit allows: probably a loop. */
  | 'TOO_MANY_HOPS';

/** Why an operation has no answer to give, though the coordinator gave one. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  /** As a gRPC status: ABORTED may be tried again with the same key, FAILED_PRECONDITION may not. */
  readonly code: status;

  constructor(
    readonly reason: OperationReason,
    message: string,
    /** When it makes sense to come back, ms. */
    readonly retryAfterMs?: number,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.code = passing.has(reason) ? status.ABORTED : status.FAILED_PRECONDITION;
  }
}

const passing: ReadonlySet<OperationReason> = new Set(['IN_PROGRESS', 'LEASE_LOST', 'RESULT_NOT_STORED']);

import type { Fingerprint } from './fingerprint.js';
import type { KeyRef } from './key.js';
import type { OnLapse } from './policy.js';
import type { Result } from './result.js';

export type State = 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'RELEASED' | 'INDETERMINATE';

/** All times are the database's clock: ms since the epoch with its microseconds, `Infinity` for never. */
interface AnyRecord {
  readonly ref: KeyRef;
  readonly operation: string;
  readonly fingerprint: Fingerprint | undefined;
  /** Grants so far, from 1. */
  readonly attempt: number;
  /** Grants that no longer count against `max_attempts`, because an operator released the key after them. */
  readonly attemptsForgiven: number;
  readonly fencingToken: bigint;
  readonly createTime: number;
  /** From here on the record counts as absent, swept or not. */
  readonly recordExpireTime: number;
  readonly parent: KeyRef | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly traceparent: string;
  readonly lastError: LastError | undefined;
}

export interface LastError {
  /** The encoded status. */
  readonly status: Uint8Array;
  readonly time: number;
  readonly retryAfterMs: number | undefined;
}

export interface InProgressRecord extends AnyRecord {
  readonly state: 'IN_PROGRESS';
  readonly attemptId: string;
  readonly onLapse: OnLapse;
  /** An earlier attempt's lease lapsed: its effect may have happened. */
  readonly takeover: boolean;
  readonly leaseExpireTime: number;
  readonly checkpoint: Uint8Array | undefined;
}

export interface ReleasedRecord extends AnyRecord {
  readonly state: 'RELEASED';
  readonly attemptId: string;
  /** An earlier attempt's lease lapsed, and nobody has finished the key since. */
  readonly takeover: boolean;
  readonly checkpoint: Uint8Array | undefined;
}

export interface IndeterminateRecord extends AnyRecord {
  readonly state: 'INDETERMINATE';
}

export interface FinishedRecord extends AnyRecord {
  readonly state: 'COMPLETED' | 'FAILED';
  readonly finishTime: number;
  /** From here on only the tombstone is left. */
  readonly resultExpireTime: number;
  readonly resultDigest: Uint8Array;
  /** Undefined when it was not read, or was stripped. */
  readonly result: Result | undefined;
}

/** What a replay of a finished record needs of it. */
export type Replayable = Pick<
  FinishedRecord,
  'operation' | 'fingerprint' | 'attempt' | 'traceparent' | 'finishTime' | 'resultExpireTime' | 'result'
>;

export type KeyRecord = InProgressRecord | ReleasedRecord | IndeterminateRecord | FinishedRecord;

/** What a read found, and the database's time of the reading. */
export interface Seen {
  readonly record: KeyRecord;
  readonly nowTime: number;
}

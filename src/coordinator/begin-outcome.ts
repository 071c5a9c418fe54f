import type { OncewardError } from '../core/errors.js';
import type { FinishedRecord, Seen } from '../core/record.js';
import type { Replay } from './replay-cache.js';

export type BeginOutcome =
  | {
      readonly kind: 'execute';
      readonly fencingToken: bigint;
      readonly attempt: number;
      readonly leaseMs: number;
      readonly checkpoint: Uint8Array | undefined;
      readonly takeover: boolean;
      /** How long the Begin waited before its last look, ms; 0 if it did not. */
      readonly waitedMs: number;
    }
  | Replay
  | InProgressOutcome
  | { readonly kind: 'indeterminate'; readonly attempt: number }
  | { readonly kind: 'result_expired'; readonly record: FinishedRecord };

export interface InProgressOutcome {
  readonly kind: 'in_progress';
  readonly fencingToken: bigint;
  readonly attempt: number;
  readonly leaseLeftMs: number;
  readonly retryAfterMs: number;
}

/** What a Begin that flew to the store brought. */
export interface Landed {
  /** Its own outcome, or why it is refused. */
  readonly outcome: BeginOutcome | OncewardError;
  /** What others may decide on; made for who joined, as few flights are joined. */
  readonly seen: () => Seen | undefined;
}

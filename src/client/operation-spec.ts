import type { Fingerprint } from '../core/fingerprint.js';
import type { KeyRef } from '../core/key.js';
import type { OnLapse } from '../core/policy.js';
import type { Replay } from '../gen/onceward/v1/coordinator.js';
import type { callerContext, OperationMetrics } from '../telemetry/operations.js';
import type { Calls } from './calls.js';

/** How a function, a method or an HTTP handler is guarded. Durations are ms. */
export interface GuardOptions {
  /** Lease of one execution. Default: the namespace's. It is extended while the execution runs. */
  readonly leaseMs?: number | undefined;
  /** What a lapsed lease leads to. Default: the namespace's. */
  readonly onLapse?: OnLapse | undefined;
  /** How long the result is replayed; `Infinity` for ever. Default: the namespace's. */
  readonly resultRetentionMs?: number | undefined;
  /**
   * Executes without a guard while no coordinator can be reached, for at most so long since the last answer. It gives up what
   * Onceward is for, so it counts in `onceward.operation.outcomes` as `unguarded`. Default: 0, never.
   */
  readonly failOpenMs?: number | undefined;
  /** How long a Begin may look for a coordinator. Default 10 000, with `failOpenMs` 1000. */
  readonly beginTimeoutMs?: number | undefined;
  /** How long the result of an execution is tried to be stored. Default 30 000. */
  readonly finishTimeoutMs?: number | undefined;
}

export interface OperationSpec extends GuardOptions {
  readonly ref: KeyRef;
  readonly operation: string;
  readonly fingerprint: Fingerprint | undefined;
  readonly parent: KeyRef | undefined;
  readonly hops: number;
  /** How long to wait for another execution, ms. */
  readonly waitMs: number;
  /** Its abort ends the waiting; an execution goes on. */
  readonly signal: AbortSignal | undefined;
  readonly firstAttemptTime: Date | undefined;
  readonly caller: ReturnType<typeof callerContext>;
}

export interface Guards {
  readonly calls: Calls;
  readonly metrics: OperationMetrics;
}

export type Ending =
  /** This execution's own answer counts. */
  | { readonly kind: 'executed' }
  /** The stored answer counts. */
  | { readonly kind: 'replay'; readonly replay: Replay };

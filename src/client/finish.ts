import { setTimeout as pause } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { KeyRef } from '../core/key.js';
import type { Replay } from '../gen/onceward/v1/coordinator.js';
import { FailRequest_Kind } from '../gen/onceward/v1/coordinator.js';
import { State, type MetadataEntry, type Result, type Status } from '../gen/onceward/v1/record.js';
import { attributeNames as names } from '../telemetry/names.js';
import type { OperationTrace } from '../telemetry/operations.js';
import { CallError } from './call-error.js';
import type { Calls } from './calls.js';
import { toRetention } from './duration.js';
import type { RunningOperation } from './operation.js';
import { OperationError } from './operation-error.js';
import type { Ending, Guards, OperationSpec } from './operation-spec.js';

/** What an execution's end is to be at the coordinator. */
export type Settlement =
  /** Succeeded: stored and replayed. */
  | { readonly kind: 'complete'; readonly result: Result }
  /** A business failure: stored and replayed. */
  | {
      readonly kind: 'final';
      readonly status: Status;
      readonly initialMetadata: MetadataEntry[];
      readonly trailingMetadata: MetadataEntry[];
    }
  /** An infrastructure failure: the key is free for another execution. */
  | { readonly kind: 'retryable'; readonly status: Status };

const defaultFinishTimeoutMs = 30_000;
/** How often a loser looks whether the winner has finished, ms. */
const lookAgain = { firstMs: 20, mostMs: 500 };

/** Stores how the execution ended, also when the caller has left. Rejects with a CallError when that can't be. */
export function storeSettlement(
  calls: Calls,
  { resultRetentionMs, finishTimeoutMs: deadlineMs = defaultFinishTimeoutMs }: OperationSpec,
  { ref, fencingToken }: RunningOperation,
  settlement: Settlement,
): Promise<unknown> {
  switch (settlement.kind) {
    case 'complete': {
      const resultRetention = resultRetentionMs === undefined ? undefined : toRetention(resultRetentionMs);
      return calls.complete(
        { ref, fencingToken, result: settlement.result, resultRetention },
        { deadlineMs },
      );
    }
    case 'final': {
      const { status, initialMetadata, trailingMetadata } = settlement;
      const kind = FailRequest_Kind.FINAL;
      const request = { ref, fencingToken, kind, status, initialMetadata, trailingMetadata };
      return calls.fail(request, { deadlineMs });
    }
    case 'retryable': {
      const kind = FailRequest_Kind.RETRYABLE;
      return calls.fail({ ref, fencingToken, kind, status: settlement.status }, { deadlineMs });
    }
  }
}

/**
 * What becomes of an execution whose end could not be stored. One that lost its lease is answered with what the winner stored, never
 * with its own result.
 */
export async function notStored(
  { calls, metrics }: Guards,
  spec: OperationSpec,
  trace: OperationTrace,
  operation: RunningOperation,
  settlement: Settlement,
  error: unknown,
): Promise<Ending> {
  if (!(error instanceof CallError)) throw error;
  if (error.reason !== 'LEASE_LOST' && error.reason !== 'RESULT_CONFLICT') {
    // The key was to be free again: without that its lease lapses, and the error is none the less the execution's own.
    if (settlement.kind === 'retryable') return { kind: 'executed' };
    const text = `it was executed, and how it ended could not be stored: ${error.reason}`;
    throw new OperationError('RESULT_NOT_STORED', text, undefined, error);
  }
  operation.lease?.stop();
  metrics.leasesLost.add(1, { [names.namespace]: spec.ref.namespace });
  trace.set({ [names.leaseLost]: true });
  const replay = await trace.part('wait', () => resultOfWinner(calls, spec));
  trace.linkTo(replay.traceparent);
  return { kind: 'replay', replay };
}

/** Frees a key whose grant nobody waits for any more. Best effort: else its lease lapses. */
export function giveBack(calls: Calls, ref: KeyRef, fencingToken: bigint): void {
  const gone = {
    code: status.CANCELLED,
    message: 'the caller left before the grant',
    details: Buffer.alloc(0),
  };
  calls.fail({ ref, fencingToken, kind: FailRequest_Kind.RETRYABLE, status: gone }).catch(() => undefined);
}

/** By looking only: a Begin could be granted, and this execution is over. */
async function resultOfWinner(calls: Calls, { ref, waitMs, signal }: OperationSpec): Promise<Replay> {
  const untilTime = performance.now() + waitMs;
  for (let looks = 0; ; looks += 1) {
    const record = await calls.lookup({ ref, withResult: true }).catch((error: unknown) => {
      throw new OperationError('LEASE_LOST', 'the lease was lost, and no result was found', undefined, error);
    });
    if (record.state === State.COMPLETED || record.state === State.FAILED) {
      if (record.result === undefined)
        throw new OperationError('RESULT_EXPIRED', 'its result is no longer kept');
      const { result, finishTime, expireTime, attempt: attempts, traceparent } = record;
      return { result, finishTime, expireTime, attempts, traceparent };
    }
    if (record.state === State.INDETERMINATE) {
      const text = 'the lease lapsed, and the outcome is unknown until an operator resolves it';
      throw new OperationError('INDETERMINATE', text);
    }
    const delayMs = Math.min(lookAgain.firstMs * 2 ** Math.min(looks, 10), lookAgain.mostMs);
    const leftMs = untilTime - performance.now();
    if (record.state !== State.IN_PROGRESS || leftMs <= 0 || signal?.aborted === true) {
      const text = 'the lease was lost, and there is no result of another execution yet';
      throw new OperationError('LEASE_LOST', text, delayMs);
    }
    await pause(Math.min(delayMs, leftMs), undefined, signal && { signal }).catch(() => undefined);
  }
}

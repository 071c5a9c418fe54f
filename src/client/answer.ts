import { Metadata, status } from '@grpc/grpc-js';
import { finalCodes } from '../core/final-codes.js';
import { limits } from '../core/limits.js';
import type { Replay } from '../gen/onceward/v1/coordinator.js';
import type { Settlement } from './finish.js';
import type { GuardedMethod } from './guarded-method.js';
import { OperationError } from './operation-error.js';
import { metadataNames } from './propagation.js';
import {
  replayedFailure,
  replayedMetadata,
  storedMetadata,
  storedResult,
  storedStatus,
  type Failure,
} from './recorded.js';
import { richErrorOf } from './rich-error.js';

/** How a call ends, apart from its messages. `trailing` goes before the metadata of a failure, as in grpc-js. */
export interface End {
  readonly failure?: Failure | undefined;
  readonly initial?: Metadata | undefined;
  readonly trailing?: Metadata | undefined;
}

/** What a handler's end is to be at the coordinator. `payload`: its reply, or undefined when it is too large to keep. */
export function settlementOf(
  { policy, replays }: GuardedMethod,
  { failure, initial, trailing }: End,
  payload: Uint8Array | undefined,
  contentType: string,
): Settlement {
  const room = { entries: limits.metadataEntries, bytes: limits.metadataBytes };
  const metadata = trailing ?? failure?.metadata;
  if (failure !== undefined) {
    const stored = storedStatus(failure, metadata);
    const finalByCode = policy.finalCodes?.includes(failure.code) ?? finalCodes.has(failure.code);
    if (!finalByCode || failure.ofGuard === true) return { kind: 'retryable', status: stored };
    const initialMetadata = storedMetadata(initial, replays, room);
    const trailingMetadata = storedMetadata(metadata, replays, room);
    return { kind: 'final', status: stored, initialMetadata, trailingMetadata };
  }
  const initialMetadata = storedMetadata(initial, replays, room);
  const trailingMetadata = storedMetadata(metadata, replays, room);
  const result = storedResult(payload, contentType, initialMetadata, trailingMetadata);
  return { kind: 'complete', result: payload === undefined ? { ...result, payloadOmitted: true } : result };
}

/** Tells the key that was made here. */
export function withKey<E extends End>(end: E, key: string): E {
  const trailing = (end.trailing ?? end.failure?.metadata ?? new Metadata()).clone();
  trailing.set(metadataNames.key, key);
  return { ...end, trailing };
}

/** The stored answer, marked as a replay. */
export function replayedEnd({ result, finishTime }: Replay): End & { readonly payload: Uint8Array } {
  const stored = result ?? storedResult(new Uint8Array(), '', [], []);
  const initial = stored.initialMetadata.length > 0 ? replayedMetadata(stored.initialMetadata) : undefined;
  const trailing = replayedMetadata(stored.trailingMetadata);
  const failure = replayedFailure(stored) ?? (stored.payloadOmitted ? tooLarge() : undefined);
  if (failure !== undefined) trailing.merge(failure.metadata);
  trailing.set(metadataNames.replayed, 'true');
  if (finishTime !== undefined) trailing.set(metadataNames.finishTime, finishTime.toISOString());
  return { failure, initial, trailing, payload: stored.payload ?? new Uint8Array() };
}

function tooLarge(): Failure {
  const text = 'it was done, and its result was too large to keep';
  const { code, details, metadata } = richErrorOf(new OperationError('RESULT_TOO_LARGE', text));
  return { code, message: details, metadata };
}

/** The end that a guard makes of an error of its own. */
export function endOfError(error: unknown): End {
  const { code, details, metadata } = richErrorOf(error);
  return { failure: { code, message: details, metadata } };
}

/** A reply that its own serializer refuses, as grpc-js answers it. */
export function unserializable(error: unknown): Failure {
  const message = `Error serializing response: ${error instanceof Error ? error.message : String(error)}`;
  return { code: status.INTERNAL, message, metadata: new Metadata() };
}

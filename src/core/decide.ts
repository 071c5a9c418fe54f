import { OncewardError } from './errors.js';
import { compareFingerprints, type Fingerprint } from './fingerprint.js';
import type {
  FinishedRecord,
  IndeterminateRecord,
  InProgressRecord,
  KeyRecord,
  ReleasedRecord,
} from './record.js';
import { sameDigest } from './result.js';

/** What of a Begin the rules look at. */
export interface BeginQuestion {
  readonly operation: string;
  readonly fingerprint: Fingerprint | undefined;
  readonly attemptId: string;
  readonly maxAttempts: number | undefined;
}

/** How a Begin on a known key may change its record. */
export type Claim =
  /** Grant the next attempt: the lease lapsed, or was given back. */
  | 'take-over'
  /** Grant the first attempt of a new life: the record expired. */
  | 'renew'
  /** Grant nobody: the record becomes INDETERMINATE. */
  | 'park';

export type BeginDecision =
  | { readonly kind: 'claim'; readonly claim: Claim }
  | { readonly kind: 'same-grant'; readonly record: InProgressRecord; readonly leaseLeftMs: number }
  | { readonly kind: 'replay'; readonly record: FinishedRecord }
  | { readonly kind: 'in_progress'; readonly record: InProgressRecord; readonly leaseLeftMs: number }
  | { readonly kind: 'indeterminate'; readonly record: IndeterminateRecord }
  | { readonly kind: 'result_expired'; readonly record: FinishedRecord }
  | { readonly kind: 'refuse'; readonly error: OncewardError };

/** The rule of Begin on a known record, in the protocol's order: expiry, mismatch, state. */
export function decideBegin(record: KeyRecord, question: BeginQuestion, nowTime: number): BeginDecision {
  if (record.recordExpireTime <= nowTime) return { kind: 'claim', claim: 'renew' };
  const mismatch = findMismatch(record, question);
  if (mismatch !== undefined) return { kind: 'refuse', error: mismatch };
  switch (record.state) {
    case 'IN_PROGRESS':
      return decideInProgress(record, question, nowTime);
    case 'RELEASED':
      return decideReleased(record, question);
    case 'INDETERMINATE':
      return { kind: 'indeterminate', record };
    case 'COMPLETED':
    case 'FAILED':
      return { kind: isKept(record, nowTime) ? 'replay' : 'result_expired', record };
  }
}

/** A result that is gone was stripped, after `nowTime` and before the reading: by then it had expired. */
function isKept({ resultExpireTime, result }: FinishedRecord, nowTime: number): boolean {
  return resultExpireTime > nowTime && result !== undefined;
}

function decideInProgress(record: InProgressRecord, question: BeginQuestion, nowTime: number): BeginDecision {
  const leaseLeftMs = record.leaseExpireTime - nowTime;
  if (leaseLeftMs > 0) {
    const kind = record.attemptId === question.attemptId ? 'same-grant' : 'in_progress';
    return { kind, record, leaseLeftMs };
  }
  const park = record.onLapse === 'PARK' || attemptsSpent(record, question.maxAttempts);
  return { kind: 'claim', claim: park ? 'park' : 'take-over' };
}

function decideReleased(record: ReleasedRecord, question: BeginQuestion): BeginDecision {
  // A late copy of the Begin that started the attempt now over: granting it would lock the key for a caller that left.
  if (record.attemptId === question.attemptId) {
    const text = 'this attempt gave its lease back; begin again with a new attempt_id';
    return { kind: 'refuse', error: new OncewardError('LEASE_LOST', text) };
  }
  const park = attemptsSpent(record, question.maxAttempts);
  return { kind: 'claim', claim: park ? 'park' : 'take-over' };
}

function attemptsSpent(record: KeyRecord, maxAttempts: number | undefined): boolean {
  return maxAttempts !== undefined && record.attempt - record.attemptsForgiven >= maxAttempts;
}

/** A key stands for one operation and one request. */
export function findMismatch(
  record: Pick<KeyRecord, 'operation' | 'fingerprint'>,
  question: BeginQuestion,
): OncewardError | undefined {
  const differs =
    record.operation !== question.operation
      ? 'operation'
      : compareFingerprints(record.fingerprint, question.fingerprint) === 'different'
        ? 'fingerprint'
        : undefined;
  if (differs === undefined) return undefined;
  return new OncewardError('KEY_MISMATCH', `the key is known with another ${differs}`, {
    metadata: { field: differs },
  });
}

/** What of a Complete, Fail or Heartbeat the rules look at. */
export interface FinishQuestion {
  readonly fencingToken: bigint;
  /** The state asked for; a heartbeat asks to stay IN_PROGRESS. */
  readonly state: 'COMPLETED' | 'FAILED' | 'RELEASED' | 'IN_PROGRESS';
  /** Of the result; absent for RELEASED and IN_PROGRESS. */
  readonly resultDigest: Uint8Array | undefined;
}

export type FinishDecision =
  | { readonly kind: 'already'; readonly record: KeyRecord }
  /** The record would take it: it changed since, so ask the store again. */
  | { readonly kind: 'again' }
  | { readonly kind: 'refuse'; readonly error: OncewardError };

/** The rule for a finishing call that the store did not take; `record` is undefined when there is none. */
export function decideFinish(
  record: KeyRecord | undefined,
  question: FinishQuestion,
  nowTime: number,
): FinishDecision {
  if (record === undefined || record.recordExpireTime <= nowTime)
    return refuse('RECORD_NOT_FOUND', 'no such record');
  if (record.fencingToken < question.fencingToken)
    return refuse('LEASE_LOST', 'this token was never granted');
  if (record.fencingToken > question.fencingToken) {
    return refuse('LEASE_LOST', 'the token was superseded', record.state);
  }
  switch (record.state) {
    case 'IN_PROGRESS':
      return { kind: 'again' };
    case 'RELEASED':
      if (question.state === 'RELEASED') return { kind: 'already', record };
      return refuse('LEASE_LOST', 'this attempt gave its lease back', record.state);
    case 'INDETERMINATE':
      return refuse('LEASE_LOST', 'the record was parked and waits for Resolve', record.state);
    case 'COMPLETED':
    case 'FAILED':
      return decideFinished(record, question);
  }
}

function decideFinished(record: FinishedRecord, question: FinishQuestion): FinishDecision {
  if (question.state === 'IN_PROGRESS')
    return refuse('LEASE_LOST', 'the operation is finished', record.state);
  const same =
    record.state === question.state &&
    question.resultDigest !== undefined &&
    sameDigest(record.resultDigest, question.resultDigest);
  if (same) return { kind: 'already', record };
  return refuse('RESULT_CONFLICT', 'this attempt already finished with another result', record.state);
}

function refuse(reason: OncewardError['reason'], text: string, state?: KeyRecord['state']): FinishDecision {
  return { kind: 'refuse', error: new OncewardError(reason, text, state ? { metadata: { state } } : {}) };
}

/** A lapsed lease under PARK reads as INDETERMINATE before any Begin has parked it. */
export function stateAt(record: KeyRecord, nowTime: number): KeyRecord['state'] {
  if (record.state !== 'IN_PROGRESS') return record.state;
  return record.onLapse === 'PARK' && record.leaseExpireTime <= nowTime ? 'INDETERMINATE' : record.state;
}

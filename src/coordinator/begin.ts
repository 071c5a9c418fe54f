import { checkFingerprint, type Fingerprint } from '../core/fingerprint.js';
import { birthTimeOf, checkKeyRef, identityOf, type KeyRef } from '../core/key.js';
import { checkLabels } from '../core/labels.js';
import { limits } from '../core/limits.js';
import { checkAskedRetention, leaseFor, tooOldTime, type OnLapse, type Policy } from '../core/policy.js';
import { Violations } from '../core/violations.js';
import type { Instruments } from '../telemetry/instruments.js';
import { attributeNames } from '../telemetry/names.js';
import { claim, type BeginOutcome, type Question } from './claim.js';
import type { CallContext, Parts } from './parts.js';

/** A Begin as it came: durations ms, times ms since the epoch. */
export interface BeginRequest {
  readonly ref: KeyRef | undefined;
  readonly operation: string;
  readonly fingerprint: Fingerprint | undefined;
  readonly attemptId: string;
  readonly leaseMs: number | undefined;
  readonly waitMs: number;
  readonly parent: KeyRef | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly firstAttemptTime: number | undefined;
  readonly resultRetentionMs: number | undefined;
  readonly onLapse: OnLapse | undefined;
  readonly traceparent: string;
}

/**
 * A waiter answers so long before its call's deadline that the answer still arrives: a tenth of the time there is, within
 * bounds in ms. A busy machine is late by more than a few milliseconds, and a long wait is none the worse for it.
 */
const deadlineMargin = { share: 0.1, least: 30, most: 500 };

export type WaitedOutcome = BeginOutcome & {
  /** How long it waited before its last look, ms; 0 if it did not. */
  readonly waitedMs: number;
};

export async function begin(parts: Parts, request: BeginRequest, call: CallContext): Promise<WaitedOutcome> {
  const receiveTime = performance.now();
  const ref = validate(request);
  const { policy } = await parts.namespaces.get(ref.namespace);
  const question = questionOf(request, ref, policy);
  const untilTime = Math.min(receiveTime + request.waitMs, answerTime(receiveTime, call.deadlineTime));
  const stay: Stay = { receiveTime, untilTime, waits: false, waitingMs: 0 };
  let ended: BeginOutcome['kind'] | 'left' | 'refused' = 'refused';
  try {
    const outcome = await claimOrWait(parts, question, call, stay);
    parts.counters.add(`begin.${outcome.kind}`, ref.namespace);
    ended = stay.waits && call.signal.aborted ? 'left' : outcome.kind;
    return outcome;
  } finally {
    measure(parts.instruments, stay, ended);
  }
}

/** What a Begin spends its time with; times on `performance.now()`. */
interface Stay {
  readonly receiveTime: number;
  /** When it gives up waiting. */
  readonly untilTime: number;
  waits: boolean;
  /** For someone else's attempt, without the looks at the store in between. */
  waitingMs: number;
}

async function claimOrWait(
  parts: Parts,
  question: Question,
  call: CallContext,
  stay: Stay,
): Promise<WaitedOutcome> {
  const { ref } = question.terms;
  const { receiveTime, untilTime } = stay;
  let waitedMs = 0;
  let outcome = await claim(parts, question);
  if (outcome.kind === 'in_progress' && untilTime > performance.now()) {
    stay.waits = true;
    parts.counters.add('begin.waited', ref.namespace);
  }
  while (outcome.kind === 'in_progress') {
    const askedTime = performance.now();
    const { fencingToken, leaseLeftMs } = outcome;
    const { signal } = call;
    const ended = await parts.waiters.wait({ ref, fencingToken, leaseLeftMs, untilTime, signal });
    const endedTime = performance.now();
    stay.waitingMs += endedTime - askedTime;
    if (ended === 'over') {
      outcome = { ...outcome, leaseLeftMs: Math.max(0, leaseLeftMs - (endedTime - askedTime)) };
      break;
    }
    // The claim is made after this, so a lease counted from the sending plus this ends before the store's.
    waitedMs = endedTime - receiveTime;
    outcome = await claim(parts, question);
  }
  return { ...outcome, waitedMs };
}

function measure(instruments: Instruments, { receiveTime, waits, waitingMs }: Stay, ended: string): void {
  const attributes = { [attributeNames.outcome]: ended };
  const checkMs = performance.now() - receiveTime - waitingMs;
  instruments.beginCheckDuration.record(checkMs / 1000, attributes);
  if (waits) instruments.beginWaitDuration.record(waitingMs / 1000, attributes);
}

function answerTime(receiveTime: number, deadlineTime: number): number {
  const { share, least, most } = deadlineMargin;
  return deadlineTime - Math.min(Math.max(share * (deadlineTime - receiveTime), least), most);
}

function validate(request: BeginRequest): KeyRef {
  const violations = new Violations();
  const ref = checkKeyRef(request.ref, 'ref', violations);
  violations.ascii('operation', request.operation, 1, limits.operationLength);
  checkFingerprint(request.fingerprint, violations);
  violations.ascii('attempt_id', request.attemptId, 1, limits.attemptIdLength);
  violations.range('wait', request.waitMs, 0, limits.waitMaxMs, ' ms');
  if (request.parent !== undefined) checkKeyRef(request.parent, 'parent', violations);
  checkLabels(request.labels, violations);
  if (
    request.traceparent !== '' &&
    !/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(request.traceparent)
  ) {
    violations.add('traceparent', 'must be a W3C traceparent of 55 characters, or empty');
  }
  violations.throwIfAny();
  return ref;
}

function questionOf(request: BeginRequest, ref: KeyRef, policy: Policy): Question {
  const violations = new Violations();
  const leaseMs = leaseFor(request.leaseMs, policy, violations);
  checkAskedRetention(request.resultRetentionMs, policy, violations);
  violations.throwIfAny();
  const { operation, fingerprint, attemptId, parent, labels, traceparent, resultRetentionMs } = request;
  return {
    identity: identityOf(ref),
    operation,
    fingerprint,
    attemptId,
    maxAttempts: policy.maxAttempts,
    terms: {
      ref,
      operation,
      fingerprint,
      attemptId,
      leaseMs,
      onLapse: request.onLapse ?? policy.onLapse,
      abandonedRetentionMs: policy.abandonedRetentionMs,
      resultRetentionMs,
      parent,
      labels,
      traceparent,
      tooOldTime: tooOldTime(request.firstAttemptTime ?? birthTimeOf(ref.key), policy),
    },
  };
}

import type { BeginQuestion } from '../core/decide.js';
import { checkFingerprint, type Fingerprint } from '../core/fingerprint.js';
import { birthTimeOf, checkKeyRef, identityOf, type KeyRef } from '../core/key.js';
import type { GrantTerms } from '../core/key-store.js';
import { checkLabels } from '../core/labels.js';
import { limits } from '../core/limits.js';
import { checkAskedRetention, leaseFor, tooOldTime, type OnLapse, type Policy } from '../core/policy.js';
import { Violations } from '../core/violations.js';

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

/** A Begin that passed validation, with the lease its namespace allows. */
export interface Question extends BeginQuestion {
  readonly identity: string;
  readonly ref: KeyRef;
  readonly leaseMs: number;
  readonly request: BeginRequest;
  readonly policy: Policy;
  /** What is to be counted once, however often the question is asked. */
  readonly found: { incomparable: boolean };
}

/** What of a Begin is wrong whatever its namespace says is thrown here. */
export function validate(request: BeginRequest): KeyRef {
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

export function questionOf(request: BeginRequest, ref: KeyRef, policy: Policy): Question {
  const violations = new Violations();
  const leaseMs = leaseFor(request.leaseMs, policy, violations);
  checkAskedRetention(request.resultRetentionMs, policy, violations);
  violations.throwIfAny();
  const { operation, fingerprint, attemptId } = request;
  const { maxAttempts } = policy;
  return {
    identity: identityOf(ref),
    ref,
    operation,
    fingerprint,
    attemptId,
    maxAttempts,
    leaseMs,
    request,
    policy,
    found: { incomparable: false },
  };
}

/** The terms of a grant that counts as the `countedAttempt`th of its key. */
export function termsOf(question: Question, countedAttempt: number): GrantTerms {
  const { ref, operation, fingerprint, attemptId, maxAttempts, leaseMs, request, policy } = question;
  // The last allowed attempt parks when it lapses: there is nobody to take over.
  const isLast = maxAttempts !== undefined && countedAttempt >= maxAttempts;
  return {
    ref,
    operation,
    fingerprint,
    attemptId,
    leaseMs,
    onLapse: isLast ? 'PARK' : (request.onLapse ?? policy.onLapse),
    abandonedRetentionMs: policy.abandonedRetentionMs,
    resultRetentionMs: request.resultRetentionMs,
    parent: request.parent,
    labels: request.labels,
    traceparent: request.traceparent,
    tooOldTime: tooOldTime(request.firstAttemptTime ?? birthTimeOf(ref.key), policy),
  };
}

import type { BeginOutcome } from '../coordinator/begin-outcome.js';
import type { CompleteRequest } from '../coordinator/complete.js';
import type { FailRequest } from '../coordinator/fail.js';
import type { HeartbeatRequest } from '../coordinator/heartbeat.js';
import type { BeginRequest } from '../coordinator/question.js';
import type { OnLapse } from '../core/policy.js';
import { Violations } from '../core/violations.js';
import * as wire from '../gen/onceward/v1/coordinator.js';
import { OnLapse as WireOnLapse, Status } from '../gen/onceward/v1/record.js';
import { encode } from './encode.js';
import { dateOf, durationOf, msOf, retentionMsOf } from './duration.js';
import { checkedStatus, failureResultOf, resultOf, wireResultOf } from './result.js';

/** Requests and answers of the Coordinator service, between the wire and the verbs. Decides nothing. */

export function beginRequestOf(request: wire.BeginRequest): BeginRequest {
  const violations = new Violations();
  const { fingerprint, firstAttemptTime } = request;
  const converted = {
    ref: request.ref,
    operation: request.operation,
    fingerprint: fingerprint && { version: fingerprint.version, digest: fingerprint.digest },
    attemptId: request.attemptId,
    leaseMs: msOf(request.lease, 'lease', violations),
    waitMs: msOf(request.wait, 'wait', violations) ?? 0,
    parent: request.parent,
    labels: request.labels,
    firstAttemptTime: firstAttemptTime?.getTime(),
    resultRetentionMs: retentionMsOf(request.resultRetention, 'result_retention', violations),
    onLapse: onLapseOf(request.onLapse, 'on_lapse', violations),
    traceparent: request.traceparent,
  };
  if (Number.isNaN(converted.firstAttemptTime)) violations.add('first_attempt_time', 'is not a valid time');
  violations.throwIfAny();
  return converted;
}

export function beginResponseOf(outcome: BeginOutcome): wire.BeginResponse {
  return { outcome: wireOutcomeOf(outcome) };
}

function wireOutcomeOf(outcome: BeginOutcome): wire.BeginResponse['outcome'] {
  switch (outcome.kind) {
    case 'execute': {
      const { fencingToken, attempt, leaseMs, checkpoint, takeover, waitedMs } = outcome;
      const value = {
        fencingToken,
        attempt,
        lease: durationOf(leaseMs),
        checkpoint: checkpoint && Buffer.from(checkpoint),
        takeover,
        waited: waitedMs > 0 ? durationOf(waitedMs) : undefined,
      };
      return { $case: 'execute', value };
    }
    case 'replay': {
      const { record } = outcome;
      const value = {
        result: record.result && wireResultOf(record.result),
        finishTime: dateOf(record.finishTime),
        expireTime: dateOf(record.resultExpireTime),
        attempts: record.attempt,
        traceparent: record.traceparent,
      };
      return { $case: 'replay', value };
    }
    case 'in_progress': {
      const { leaseLeftMs, retryAfterMs, attempt } = outcome;
      const value = { leaseLeft: durationOf(leaseLeftMs), retryAfter: durationOf(retryAfterMs), attempt };
      return { $case: 'inProgress', value };
    }
    case 'indeterminate':
      return { $case: 'indeterminate', value: { attempt: outcome.attempt } };
    case 'result_expired': {
      const { finishTime, recordExpireTime } = outcome.record;
      return {
        $case: 'resultExpired',
        value: { finishTime: dateOf(finishTime), expireTime: dateOf(recordExpireTime) },
      };
    }
  }
}

export function completeRequestOf(request: wire.CompleteRequest): CompleteRequest {
  const violations = new Violations();
  const converted = {
    ref: request.ref,
    fencingToken: request.fencingToken,
    result: resultOf(request.result, 'result', violations),
    resultRetentionMs: retentionMsOf(request.resultRetention, 'result_retention', violations),
  };
  violations.throwIfAny();
  return converted;
}

export function failRequestOf(request: wire.FailRequest): FailRequest {
  const violations = new Violations();
  const status = checkedStatus(request.status, 'status', violations);
  const converted = {
    ref: request.ref,
    fencingToken: request.fencingToken,
    kind: failKindOf(request.kind, violations),
    result: failureResultOf(status, request, violations),
    status: encode(Status, status),
    retryAfterMs: msOf(request.retryAfter, 'retry_after', violations),
  };
  if (request.status === undefined) violations.add('status', 'is required');
  violations.throwIfAny();
  return converted;
}

export function heartbeatRequestOf(request: wire.HeartbeatRequest): HeartbeatRequest {
  const violations = new Violations();
  const { ref, fencingToken, checkpoint, checkpointSequence } = request;
  const leaseMs = msOf(request.lease, 'lease', violations);
  violations.throwIfAny();
  return { ref, fencingToken, leaseMs, checkpoint, checkpointSequence };
}

export function onLapseOf(value: WireOnLapse, field: string, violations: Violations): OnLapse | undefined {
  switch (value) {
    case WireOnLapse.UNSPECIFIED:
      return undefined;
    case WireOnLapse.RERUN:
      return 'RERUN';
    case WireOnLapse.PARK:
      return 'PARK';
    // proto3 enums are open: a number of a later version arrives as it is.
    default:
      violations.add(field, `has the unknown value ${String(value)}`);
      return undefined;
  }
}

function failKindOf(value: wire.FailRequest_Kind, violations: Violations): FailRequest['kind'] {
  switch (value) {
    case wire.FailRequest_Kind.FINAL:
      return 'FINAL';
    case wire.FailRequest_Kind.RETRYABLE:
      return 'RETRYABLE';
    case wire.FailRequest_Kind.UNSPECIFIED:
      violations.add('kind', 'is required: KIND_FINAL or KIND_RETRYABLE');
      return 'RETRYABLE';
    default:
      violations.add('kind', `has the unknown value ${String(value)}`);
      return 'RETRYABLE';
  }
}

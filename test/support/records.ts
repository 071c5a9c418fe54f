import type { BeginQuestion } from '../../src/core/decide.js';
import type {
  FinishedRecord,
  IndeterminateRecord,
  InProgressRecord,
  ReleasedRecord,
} from '../../src/core/record.js';

/** The moment the rules are asked at, in tests of the rules. */
export const now = 1_700_000_000_000;

const common = {
  ref: { namespace: 'test', scope: '', key: 'k' },
  operation: 'charge',
  fingerprint: { version: 1, digest: Buffer.from('digest-a') },
  attempt: 1,
  attemptsForgiven: 0,
  fencingToken: 10n,
  createTime: now - 60_000,
  recordExpireTime: now + 60_000,
  parent: undefined,
  labels: {},
  traceparent: '',
  lastError: undefined,
};

export function inProgress(more: Partial<InProgressRecord> = {}): InProgressRecord {
  return {
    ...common,
    state: 'IN_PROGRESS',
    attemptId: 'attempt-a',
    onLapse: 'RERUN',
    takeover: false,
    leaseExpireTime: now + 10_000,
    checkpoint: undefined,
    ...more,
  };
}

export function released(more: Partial<ReleasedRecord> = {}): ReleasedRecord {
  return {
    ...common,
    state: 'RELEASED',
    attemptId: 'attempt-a',
    takeover: false,
    checkpoint: undefined,
    ...more,
  };
}

export function indeterminate(more: Partial<IndeterminateRecord> = {}): IndeterminateRecord {
  return { ...common, state: 'INDETERMINATE', ...more };
}

export function finished(more: Partial<FinishedRecord> = {}): FinishedRecord {
  return {
    ...common,
    state: 'COMPLETED',
    finishTime: now - 1000,
    resultExpireTime: now + 30_000,
    resultDigest: Buffer.alloc(16, 1),
    result: { payload: Buffer.from('done'), payloadOmitted: false, code: 0, envelope: Buffer.alloc(0) },
    ...more,
  };
}

/** A Begin of another attempt on the record above. */
export function question(more: Partial<BeginQuestion> = {}): BeginQuestion {
  return {
    operation: 'charge',
    fingerprint: { version: 1, digest: Buffer.from('digest-a') },
    attemptId: 'attempt-b',
    maxAttempts: undefined,
    ...more,
  };
}

import fc from 'fast-check';
import type { BeginQuestion } from '../../src/core/decide.js';
import type { KeyRecord } from '../../src/core/record.js';
import { finished, indeterminate, inProgress, now, question, released } from './records.js';

// Few values each, so that they meet often; times lie around now, and on it.
const times = fc.oneof(
  fc.constantFrom(now, now - 1, now + 1, Infinity),
  fc.integer({ min: now - 100, max: now + 100 }),
);
const operations = fc.constantFrom('charge', 'refund');
const fingerprints = fc.option(
  fc.record({
    version: fc.constantFrom(1, 2),
    digest: fc.constantFrom('digest-a', 'digest-b', 'short').map((text) => Buffer.from(text)),
  }),
  { nil: undefined },
);
const attemptIds = fc.constantFrom('attempt-a', 'attempt-b');
const tokens = fc.bigInt({ min: 1n, max: 6n });

const common = fc
  .record({
    operation: operations,
    fingerprint: fingerprints,
    attempt: fc.integer({ min: 1, max: 5 }),
    forgivenShare: fc.double({ min: 0, max: 1, noNaN: true }),
    fencingToken: tokens,
    recordExpireTime: times,
  })
  .map(({ forgivenShare, ...rest }) => ({
    ...rest,
    attemptsForgiven: Math.floor(rest.attempt * forgivenShare),
  }));

export const inProgressRecords = fc
  .tuple(common, fc.constantFrom('RERUN', 'PARK'), attemptIds, times)
  .map(([rest, onLapse, attemptId, leaseExpireTime]) =>
    inProgress({ ...rest, onLapse, attemptId, leaseExpireTime }),
  );
export const finishedRecords = fc
  .tuple(common, fc.constantFrom('COMPLETED', 'FAILED'), times, fc.constantFrom(1, 2))
  .map(([rest, state, resultExpireTime, fill]) =>
    finished({ ...rest, state, resultExpireTime, resultDigest: Buffer.alloc(16, fill) }),
  );
export const records: fc.Arbitrary<KeyRecord> = fc.oneof(
  inProgressRecords,
  finishedRecords,
  fc.tuple(common, attemptIds).map(([rest, attemptId]) => released({ ...rest, attemptId })),
  common.map((rest) => indeterminate(rest)),
);
export const questions: fc.Arbitrary<BeginQuestion> = fc
  .record({
    operation: operations,
    fingerprint: fingerprints,
    attemptId: attemptIds,
    maxAttempts: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  })
  .map((given) => question(given));
export const finishQuestions = fc.record({
  fencingToken: tokens,
  state: fc.constantFrom('COMPLETED', 'FAILED', 'RELEASED', 'IN_PROGRESS'),
  resultDigest: fc.option(
    fc.constantFrom(1, 2).map((fill) => Buffer.alloc(16, fill)),
    { nil: undefined },
  ),
});

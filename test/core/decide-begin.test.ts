import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideBegin, stateAt, type BeginDecision, type BeginQuestion } from '../../src/core/decide.js';
import type { KeyRecord } from '../../src/core/record.js';
import { finishedRecords, inProgressRecords, questions, records } from '../support/arbitrary-records.js';
import { finished, indeterminate, inProgress, now, question, released } from '../support/records.js';

/** A decision in a word: the kind, the claim, or the reason of a refusal with the field that differs. */
function inAWord(decision: BeginDecision): string {
  if (decision.kind === 'claim') return decision.claim;
  if (decision.kind !== 'refuse') return decision.kind;
  return [decision.error.reason, decision.error.metadata['field']].filter(Boolean).join(' ');
}

const other = (version: number) => ({ version, digest: Buffer.from('digest-b') });
const lapsed = { leaseExpireTime: now };
const expired = { recordExpireTime: now };

describe('what Begin decides', () => {
  const table: [string, KeyRecord, Partial<BeginQuestion>, string][] = [
    ['live lease, another attempt', inProgress(), {}, 'in_progress'],
    ['live lease, the same attempt', inProgress(), { attemptId: 'attempt-a' }, 'same-grant'],
    ['lease lapsed, another attempt', inProgress(lapsed), {}, 'take-over'],
    ['lease lapsed, the same attempt', inProgress(lapsed), { attemptId: 'attempt-a' }, 'take-over'],
    ['lease lapsed under PARK', inProgress({ ...lapsed, onLapse: 'PARK' }), {}, 'park'],
    ['live under PARK', inProgress({ onLapse: 'PARK' }), {}, 'in_progress'],
    ['lapsed, attempts left', inProgress(lapsed), { maxAttempts: 2 }, 'take-over'],
    ['lapsed, attempts spent', inProgress({ ...lapsed, attempt: 2 }), { maxAttempts: 2 }, 'park'],
    [
      'lapsed, attempts spent but forgiven',
      inProgress({ ...lapsed, attempt: 2, attemptsForgiven: 1 }),
      { maxAttempts: 2 },
      'take-over',
    ],
    ['live, attempts spent', inProgress({ attempt: 9 }), { maxAttempts: 1 }, 'in_progress'],
    ['released', released(), {}, 'take-over'],
    ['released, attempts spent', released({ attempt: 3 }), { maxAttempts: 3 }, 'park'],
    [
      'released, attempts spent but forgiven',
      released({ attempt: 3, attemptsForgiven: 3 }),
      { maxAttempts: 1 },
      'take-over',
    ],
    ['released by this very attempt', released(), { attemptId: 'attempt-a' }, 'LEASE_LOST'],
    ['indeterminate', indeterminate(), {}, 'indeterminate'],
    ['completed', finished(), {}, 'replay'],
    ['failed', finished({ state: 'FAILED' }), {}, 'replay'],
    ['completed, past retention', finished({ resultExpireTime: now }), {}, 'result_expired'],
    ['failed, past retention', finished({ state: 'FAILED', resultExpireTime: now }), {}, 'result_expired'],
    ['completed, stripped since now', finished({ result: undefined }), {}, 'result_expired'],
    ['completed for ever', finished({ resultExpireTime: Infinity }), {}, 'replay'],
    ['lapsed, abandoned', inProgress({ ...lapsed, ...expired }), {}, 'renew'],
    ['released, abandoned', released(expired), {}, 'renew'],
    ['completed, forgotten by time', finished({ ...expired, resultExpireTime: now }), {}, 'renew'],
  ];
  test.each(table)('%s', (_, record, asked, expected) => {
    expect(inAWord(decideBegin(record, question(asked), now))).toBe(expected);
  });

  const states: [string, KeyRecord][] = [
    ['IN_PROGRESS', inProgress()],
    ['lapsed', inProgress(lapsed)],
    ['RELEASED', released()],
    ['INDETERMINATE', indeterminate()],
    ['COMPLETED', finished()],
    ['FAILED', finished({ state: 'FAILED' })],
    ['tombstone', finished({ resultExpireTime: now })],
  ];
  describe.each(states)('on %s', (_, record) => {
    const ask = (asked: Partial<BeginQuestion>, of = record) =>
      inAWord(decideBegin(of, question(asked), now));

    test('another operation is a mismatch', () => {
      expect(ask({ operation: 'refund' })).toBe('KEY_MISMATCH operation');
      expect(ask({ operation: 'refund', attemptId: 'attempt-a' })).toBe('KEY_MISMATCH operation');
    });
    test('another digest of the same version is a mismatch', () => {
      expect(ask({ fingerprint: other(1) })).toBe('KEY_MISMATCH fingerprint');
      expect(ask({ fingerprint: { version: 1, digest: Buffer.from('digest-') } })).toBe(
        'KEY_MISMATCH fingerprint',
      );
    });
    test('digests of another version, or none, are not compared', () => {
      expect(ask({ fingerprint: other(2) })).toBe(ask({}));
      expect(ask({ fingerprint: undefined })).toBe(ask({}));
      expect(ask({ fingerprint: other(1) }, { ...record, fingerprint: undefined })).toBe(ask({}));
    });
    test('expiry comes before mismatch', () => {
      expect(ask({ operation: 'refund', fingerprint: other(1) }, { ...record, ...expired })).toBe('renew');
    });
  });

  test('a repeated grant tells what is left of the lease', () => {
    const decision = decideBegin(
      inProgress({ leaseExpireTime: now + 1234 }),
      question({ attemptId: 'attempt-a' }),
      now,
    );
    expect(decision).toMatchObject({ kind: 'same-grant', leaseLeftMs: 1234 });
  });
});

describe('what holds for every record and Begin', () => {
  test('a live lease never leads to a claim', () => {
    fc.assert(
      fc.property(inProgressRecords, questions, (record, asked) => {
        fc.pre(record.recordExpireTime > now && record.leaseExpireTime > now);
        expect(decideBegin(record, asked, now).kind).not.toBe('claim');
      }),
    );
  });
  test('only its own attempt is told a live lease is its', () => {
    fc.assert(
      fc.property(records, questions, (record, asked) => {
        if (decideBegin(record, asked, now).kind !== 'same-grant') return;
        expect(record).toMatchObject({ state: 'IN_PROGRESS', attemptId: asked.attemptId });
      }),
    );
  });
  test('a finished record that counts never leads to a claim', () => {
    fc.assert(
      fc.property(finishedRecords, questions, (record, asked) => {
        fc.pre(record.recordExpireTime > now);
        expect(['replay', 'result_expired', 'refuse']).toContain(decideBegin(record, asked, now).kind);
      }),
    );
  });
  test('an expired record is nothing but a new life', () => {
    fc.assert(
      fc.property(records, questions, (record, asked) => {
        const renewed = inAWord(decideBegin(record, asked, now)) === 'renew';
        expect(renewed).toBe(record.recordExpireTime <= now);
      }),
    );
  });
  test('a record parked for an operator stays parked', () => {
    fc.assert(
      fc.property(records, questions, (record, asked) => {
        fc.pre(record.recordExpireTime > now && stateAt(record, now) === 'INDETERMINATE');
        expect(['indeterminate', 'park', 'KEY_MISMATCH operation', 'KEY_MISMATCH fingerprint']).toContain(
          inAWord(decideBegin(record, asked, now)),
        );
      }),
    );
  });
  test('the same question has the same answer, and changes nothing', () => {
    fc.assert(
      fc.property(records, questions, (record, asked) => {
        const before = structuredClone({ record, asked });
        expect(decideBegin(record, asked, now)).toEqual(decideBegin(record, asked, now));
        expect(structuredClone({ record, asked })).toEqual(before);
      }),
    );
  });
});

test('a lapsed lease under PARK reads as INDETERMINATE, at the very instant of its end', () => {
  expect(stateAt(inProgress({ onLapse: 'PARK', leaseExpireTime: now }), now)).toBe('INDETERMINATE');
  expect(stateAt(inProgress({ onLapse: 'PARK', leaseExpireTime: now + 1 }), now)).toBe('IN_PROGRESS');
  expect(stateAt(inProgress({ leaseExpireTime: now - 1 }), now)).toBe('IN_PROGRESS');
  for (const record of [released(), indeterminate(), finished(), finished({ state: 'FAILED' })]) {
    expect(stateAt(record, now)).toBe(record.state);
  }
});

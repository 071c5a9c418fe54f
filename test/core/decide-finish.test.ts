import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideFinish, type FinishQuestion } from '../../src/core/decide.js';
import type { KeyRecord } from '../../src/core/record.js';
import { finishQuestions, records } from '../support/arbitrary-records.js';
import { finished, indeterminate, inProgress, now, released } from '../support/records.js';

const stored = Buffer.alloc(16, 1);
const other = Buffer.alloc(16, 2);

function asked(state: FinishQuestion['state'], more: Partial<FinishQuestion> = {}): FinishQuestion {
  const resultDigest = state === 'COMPLETED' || state === 'FAILED' ? stored : undefined;
  return { fencingToken: 10n, state, resultDigest, ...more };
}

function inAWord(record: KeyRecord | undefined, question: FinishQuestion): string {
  const decision = decideFinish(record, question, now);
  return decision.kind === 'refuse' ? decision.error.reason : decision.kind;
}

describe('what a finishing call is told that the store did not take', () => {
  const failed = finished({ state: 'FAILED' });
  const table: [string, KeyRecord | undefined, FinishQuestion, string][] = [
    ['no record', undefined, asked('COMPLETED'), 'RECORD_NOT_FOUND'],
    ['expired', inProgress({ recordExpireTime: now }), asked('COMPLETED'), 'RECORD_NOT_FOUND'],
    [
      'expired, old token',
      finished({ recordExpireTime: now, fencingToken: 11n }),
      asked('COMPLETED'),
      'RECORD_NOT_FOUND',
    ],
    ['live, this token', inProgress(), asked('COMPLETED'), 'again'],
    ['lapsed, this token', inProgress({ leaseExpireTime: now - 1 }), asked('IN_PROGRESS'), 'again'],
    ['taken over', inProgress({ fencingToken: 11n }), asked('COMPLETED'), 'LEASE_LOST'],
    ['finished by another', finished({ fencingToken: 11n }), asked('COMPLETED'), 'LEASE_LOST'],
    ['a token never granted', finished({ fencingToken: 9n }), asked('COMPLETED'), 'LEASE_LOST'],
    ['released, Complete', released(), asked('COMPLETED'), 'LEASE_LOST'],
    ['released, final Fail', released(), asked('FAILED'), 'LEASE_LOST'],
    ['released, Heartbeat', released(), asked('IN_PROGRESS'), 'LEASE_LOST'],
    ['released, released again', released(), asked('RELEASED'), 'already'],
    ['parked, Complete', indeterminate(), asked('COMPLETED'), 'LEASE_LOST'],
    ['parked, released', indeterminate(), asked('RELEASED'), 'LEASE_LOST'],
    ['completed, the same result', finished(), asked('COMPLETED'), 'already'],
    ['completed, another result', finished(), asked('COMPLETED', { resultDigest: other }), 'RESULT_CONFLICT'],
    ['completed, final Fail with the same digest', finished(), asked('FAILED'), 'RESULT_CONFLICT'],
    ['completed, released', finished(), asked('RELEASED'), 'RESULT_CONFLICT'],
    ['completed, Heartbeat', finished(), asked('IN_PROGRESS'), 'LEASE_LOST'],
    ['failed, the same failure', failed, asked('FAILED'), 'already'],
    ['failed, another failure', failed, asked('FAILED', { resultDigest: other }), 'RESULT_CONFLICT'],
    ['failed, Complete', failed, asked('COMPLETED'), 'RESULT_CONFLICT'],
    ['tombstone, the same result', finished({ resultExpireTime: now }), asked('COMPLETED'), 'already'],
  ];
  test.each(table)('%s', (_, record, question, expected) => {
    expect(inAWord(record, question)).toBe(expected);
  });

  test('a refusal names the state found, and no token', () => {
    const decision = decideFinish(finished({ fencingToken: 7_777n }), asked('COMPLETED'), now);
    if (decision.kind !== 'refuse') throw new Error(`expected a refusal, got ${decision.kind}`);
    expect(decision.error.metadata).toEqual({ state: 'COMPLETED' });
    expect(decision.error.message).not.toMatch(/\d/);
  });
});

describe('what holds for every record and finishing call', () => {
  test('a token that is not the current one is refused, whatever else', () => {
    fc.assert(
      fc.property(records, finishQuestions, (record, question) => {
        fc.pre(record.fencingToken !== question.fencingToken);
        expect(['LEASE_LOST', 'RECORD_NOT_FOUND']).toContain(inAWord(record, question));
      }),
    );
  });
  test('`already` only for what is there', () => {
    fc.assert(
      fc.property(records, finishQuestions, (record, question) => {
        if (inAWord(record, question) !== 'already') return;
        expect(record).toMatchObject({ state: question.state, fencingToken: question.fencingToken });
        if ('resultDigest' in record) expect(record.resultDigest).toEqual(question.resultDigest);
      }),
    );
  });
  test('asking again makes sense only while the attempt is under way', () => {
    fc.assert(
      fc.property(records, finishQuestions, (record, question) => {
        const again = inAWord(record, question) === 'again';
        const underWay = record.state === 'IN_PROGRESS' && record.recordExpireTime > now;
        expect(again).toBe(underWay && record.fencingToken === question.fencingToken);
      }),
    );
  });
  test('the same question has the same answer, and changes nothing', () => {
    fc.assert(
      fc.property(records, finishQuestions, (record, question) => {
        const before = structuredClone({ record, question });
        expect(decideFinish(record, question, now)).toEqual(decideFinish(record, question, now));
        expect(structuredClone({ record, question })).toEqual(before);
      }),
    );
  });
});

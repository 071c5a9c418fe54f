import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaults, limits } from '../../src/core/limits.js';
import {
  checkAskedRetention,
  checkPolicy,
  completePolicy,
  leaseFor,
  tooOldTime,
  type Policy,
} from '../../src/core/policy.js';
import { refusalOf } from '../support/refusal.js';

const day = 24 * 3600 * 1000;
const refusalOfPolicy = (given: Partial<Policy>) =>
  refusalOf((violations) => {
    checkPolicy(completePolicy(given), violations);
  });

describe('a policy', () => {
  test('given nothing takes the defaults, which are within the bounds', () => {
    expect(completePolicy({})).toEqual({
      onLapse: 'RERUN',
      defaultLeaseMs: 30_000,
      maxLeaseMs: 3_600_000,
      maxAttempts: undefined,
      resultRetentionMs: day,
      maxResultRetentionMs: 30 * day,
      tombstoneRetentionMs: 0,
      abandonedRetentionMs: 7 * day,
      maxResultBytes: 1024 * 1024,
      refuseOldKeys: true,
    });
    expect(refusalOfPolicy({})).toBe('');
  });
  test('keeps what is given', () => {
    const given: Policy = {
      onLapse: 'PARK',
      defaultLeaseMs: 100,
      maxLeaseMs: 200,
      maxAttempts: 3,
      resultRetentionMs: 2000,
      maxResultRetentionMs: Infinity,
      tombstoneRetentionMs: Infinity,
      abandonedRetentionMs: 60_000,
      maxResultBytes: 0,
      refuseOldKeys: false,
    };
    expect(completePolicy(given)).toEqual(given);
    expect(refusalOfPolicy(given)).toBe('');
  });
  test('a default that would contradict what is given follows it', () => {
    expect(completePolicy({ defaultLeaseMs: 2 * 3_600_000 }).maxLeaseMs).toBe(2 * 3_600_000);
    expect(completePolicy({ maxLeaseMs: 5000 }).defaultLeaseMs).toBe(5000);
    expect(completePolicy({ resultRetentionMs: 60 * day }).maxResultRetentionMs).toBe(60 * day);
    expect(completePolicy({ resultRetentionMs: Infinity }).maxResultRetentionMs).toBe(Infinity);
  });

  // Each bound, just inside and just outside.
  test.each<[keyof Policy, number, number, string]>([
    ['maxLeaseMs', limits.leaseMinMs, limits.leaseMinMs - 1, 'max_lease'],
    ['maxLeaseMs', limits.leaseMaxMs, limits.leaseMaxMs + 1, 'max_lease'],
    ['defaultLeaseMs', limits.leaseMinMs, limits.leaseMinMs - 1, 'default_lease'],
    ['maxAttempts', 1, 0, 'max_attempts'],
    ['maxAttempts', limits.maxAttempts, limits.maxAttempts + 1, 'max_attempts'],
    ['resultRetentionMs', 1000, 999, 'result_retention'],
    ['resultRetentionMs', 3650 * day, 3650 * day + 1, 'result_retention'],
    ['maxResultRetentionMs', day, day - 1, 'max_result_retention'],
    ['tombstoneRetentionMs', 0, -1, 'tombstone_retention'],
    ['tombstoneRetentionMs', 3650 * day, 3650 * day + 1, 'tombstone_retention'],
    ['abandonedRetentionMs', 60_000, 59_999, 'abandoned_retention'],
    ['maxResultBytes', 0, -1, 'max_result_bytes'],
    ['maxResultBytes', limits.resultBytes, limits.resultBytes + 1, 'max_result_bytes'],
  ])('%s may be %d, not %d', (name, inside, outside, field) => {
    expect(refusalOfPolicy({ [name]: inside })).toBe('');
    expect(refusalOfPolicy({ [name]: outside })).toContain(`namespace.policy.${field} must be`);
  });
  test('NaN is within no bound', () => {
    for (const name of [
      'defaultLeaseMs',
      'maxLeaseMs',
      'resultRetentionMs',
      'tombstoneRetentionMs',
    ] as const) {
      expect(refusalOfPolicy({ [name]: NaN })).not.toBe('');
    }
  });
  test('the default lease is not longer than the longest', () => {
    expect(refusalOfPolicy({ defaultLeaseMs: 1001, maxLeaseMs: 1000 })).toContain(
      'namespace.policy.default_lease',
    );
  });
});

describe('what a call may ask for', () => {
  const policy = completePolicy({ maxLeaseMs: 60_000, resultRetentionMs: 2000, maxResultRetentionMs: 5000 });

  test('a lease from 100 ms to the longest of the namespace; none takes its default', () => {
    const refusal = (ms: number) => refusalOf((violations) => leaseFor(ms, policy, violations));
    expect([refusal(100), refusal(60_000)]).toEqual(['', '']);
    expect(refusal(99)).toBe('lease must be 100 ms to 60000 ms');
    for (const ms of [60_001, -1, Infinity, NaN]) expect(refusal(ms)).toContain('lease must be');
    refusalOf((violations) => {
      expect(leaseFor(undefined, policy, violations)).toBe(defaults.leaseMs);
    });
  });
  test('a retention never shorter than the namespace promises, nor longer than it allows', () => {
    const refusal = (ms: number | undefined, of = policy) =>
      refusalOf((violations) => {
        checkAskedRetention(ms, of, violations);
      });
    expect([refusal(undefined), refusal(2000), refusal(5000)]).toEqual(['', '', '']);
    expect(refusal(1999)).toBe('result_retention must be 2000 ms to 5000 ms in this namespace');
    expect(refusal(5001)).not.toBe('');
    expect(refusal(Infinity)).not.toBe('');
    const forever = completePolicy({ maxResultRetentionMs: Infinity });
    expect(refusal(Infinity, forever)).toBe('');
    expect(refusal(1, forever)).toContain('to forever in this namespace');
    expect(refusal(3650 * day, forever)).toBe('');
    expect(refusal(3650 * day + 1, forever)).toBe(
      'result_retention must be at most 315360000000 ms, or forever',
    );
  });
});

describe('from when a key is too old to be new', () => {
  test('its birth and all that retention remembers', () => {
    const policy = completePolicy({ resultRetentionMs: 1000, tombstoneRetentionMs: 500 });
    expect(tooOldTime(10_000, policy)).toBe(11_500);
    expect(tooOldTime(undefined, policy)).toBe(Infinity);
    expect(tooOldTime(10_000, { ...policy, refuseOldKeys: false })).toBe(Infinity);
    expect(tooOldTime(10_000, { ...policy, resultRetentionMs: Infinity })).toBe(Infinity);
    expect(tooOldTime(10_000, { ...policy, tombstoneRetentionMs: Infinity })).toBe(Infinity);
  });
  test('a key is never refused while a result finished at its birth may still be remembered', () => {
    const retention = fc.integer({ min: 1000, max: 3650 * day });
    fc.assert(
      fc.property(
        fc.nat(2 ** 45),
        retention,
        fc.integer({ min: 0, max: day }),
        (birth, result, tombstone) => {
          const policy = completePolicy({ resultRetentionMs: result, tombstoneRetentionMs: tombstone });
          expect(tooOldTime(birth, policy)).toBeGreaterThanOrEqual(birth + result + tombstone);
        },
      ),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFingerprint, compareFingerprints } from '../../src/core/fingerprint.js';
import { resultDigest, sameDigest, withinLimit, type Result } from '../../src/core/result.js';
import { refusalOf } from '../support/refusal.js';

const bytes = (text: string) => Buffer.from(text);
const base: Result = { payload: bytes('paid'), payloadOmitted: false, code: 0, envelope: bytes('envelope') };
const digest = (more: Partial<Result> = {}) => resultDigest({ ...base, ...more });

describe('the digest of a result', () => {
  test('is 16 bytes, the same for the same result', () => {
    expect(digest()).toHaveLength(16);
    expect(sameDigest(digest(), digest({ payload: bytes('paid') }))).toBe(true);
  });
  test('tells apart what a replay would tell apart', () => {
    const differing: Partial<Result>[] = [
      {},
      { payload: bytes('Paid') },
      { payload: bytes('') },
      { payload: undefined },
      { payload: undefined, payloadOmitted: true },
      { code: 5 },
      { envelope: bytes('') },
      // The border between envelope and payload is part of it.
      { envelope: bytes('envelopep'), payload: bytes('aid') },
    ];
    const digests = differing.map((more) => Buffer.from(digest(more)).toString('hex'));
    expect(new Set(digests).size).toBe(differing.length);
  });
  test('no two results share one', () => {
    const results = fc.record({
      payload: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined }),
      envelope: fc.uint8Array({ maxLength: 3 }),
      code: fc.constantFrom(0, 1, 11),
    });
    fc.assert(
      fc.property(results, results, (one, two) => {
        const equal =
          one.code === two.code &&
          Buffer.compare(one.envelope, two.envelope) === 0 &&
          (one.payload === undefined || two.payload === undefined
            ? one.payload === two.payload
            : Buffer.compare(one.payload, two.payload) === 0);
        expect(sameDigest(digest(one), digest(two))).toBe(equal);
      }),
    );
  });
  test('digests of other lengths are never the same', () => {
    expect(sameDigest(Buffer.alloc(16), Buffer.alloc(15))).toBe(false);
    expect(sameDigest(Buffer.alloc(0), Buffer.alloc(16))).toBe(false);
  });
});

describe('a payload over the limit', () => {
  test('is dropped and said to be, with everything else kept', () => {
    expect(withinLimit(base, 4)).toBe(base);
    expect(withinLimit(base, 3)).toEqual({ ...base, payload: undefined, payloadOmitted: true });
  });
  test('empty and absent ones fit any limit', () => {
    const empty = { ...base, payload: bytes('') };
    const absent = { ...base, payload: undefined };
    expect(withinLimit(empty, 0)).toBe(empty);
    expect(withinLimit(absent, 0)).toBe(absent);
  });
});

describe('fingerprints', () => {
  const one = { version: 1, digest: bytes('abc') };
  test.each([
    ['same', one, { version: 1, digest: bytes('abc') }],
    ['different', one, { version: 1, digest: bytes('abd') }],
    ['different', one, { version: 1, digest: bytes('abcd') }],
    ['incomparable', one, { version: 2, digest: bytes('abc') }],
    ['incomparable', one, undefined],
    ['incomparable', undefined, undefined],
  ])('are %s', (expected, a, b) => {
    expect(compareFingerprints(a, b)).toBe(expected);
    expect(compareFingerprints(b, a)).toBe(expected);
  });
  test('have 1 to 64 bytes and a version from 0', () => {
    const refusal = (version: number, length: number) =>
      refusalOf((violations) => {
        checkFingerprint({ version, digest: Buffer.alloc(length) }, violations);
      });
    expect([refusal(0, 1), refusal(2 ** 31 - 1, 64)]).toEqual(['', '']);
    expect(refusal(0, 0)).toBe('fingerprint.digest must have 1 to 64 bytes, has 0');
    expect(refusal(0, 65)).toBe('fingerprint.digest must have 1 to 64 bytes, has 65');
    expect(refusal(-1, 1)).toBe('fingerprint.version must be 0 to 2147483647');
  });
});

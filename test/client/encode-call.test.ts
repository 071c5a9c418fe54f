import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCall } from '../../src/client/encode-call.js';
import { Call, type BeginRequest } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';

/** Lengths on both sides of where a varint gets another byte, and of where a Begin is not a usual one any more. */
const lengths = fc.oneof(fc.integer({ min: 120, max: 140 }), fc.nat(2100));
const text = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 20 }),
  lengths.map((length) => 'k'.repeat(length)),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>, freq = 1) => fc.option(arbitrary, { nil: undefined, freq });
const ref = fc.record({ namespace: text, scope: text, key: text });
const duration = fc.record({ seconds: fc.bigInt(0n, 2n ** 62n), nanos: fc.nat(999_999_999) });
const usual = {
  ref: maybe(ref, 5),
  operation: text,
  fingerprint: maybe(
    fc.record({
      version: fc.oneof(fc.nat(3), fc.integer()),
      digest: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    }),
    5,
  ),
  attemptId: text,
  parent: maybe(ref),
  traceparent: text,
};
const none = {
  lease: fc.constant(undefined),
  wait: fc.constant(undefined),
  labels: fc.constant({}),
  firstAttemptTime: fc.constant(undefined),
  resultRetention: fc.constant(undefined),
  onLapse: fc.constant(OnLapse.UNSPECIFIED),
};
const any = {
  lease: maybe(duration),
  wait: maybe(duration),
  labels: fc.dictionary(text, text, { maxKeys: 2 }),
  firstAttemptTime: maybe(fc.date({ noInvalidDate: true })),
  resultRetention: maybe(duration.map((value) => ({ kind: { $case: 'duration' as const, value } }))),
  onLapse: fc.constantFrom(OnLapse.UNSPECIFIED, OnLapse.PARK),
};
const begins = fc.oneof(fc.record({ ...usual, ...none }), fc.record({ ...usual, ...any }));

function generated(value: BeginRequest): string {
  return hex(Call.encode({ id: 0n, request: { $case: 'begin', value } }).finish());
}

function encoded(value: BeginRequest): string {
  return hex(encodeCall({ $case: 'begin', value }));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('the encoding of a call', () => {
  it('is what the generated code makes of a Begin', () => {
    fc.assert(
      fc.property(begins, (begin) => {
        expect(encoded(begin)).toBe(generated(begin));
      }),
      { numRuns: 2000 },
    );
  });

  it('stays as it is when other calls are encoded', () => {
    fc.assert(
      fc.property(fc.array(begins, { minLength: 20, maxLength: 100 }), (many) => {
        const all = many.map((begin) => encodeCall({ $case: 'begin', value: begin }));
        expect(all.map(hex)).toEqual(many.map(generated));
      }),
      { numRuns: 50 },
    );
  });

  it('refuses what the generated code refuses', () => {
    fc.assert(
      fc.property(fc.record({ ...usual, ...none }), fc.constantFrom(2 ** 31, -1.5, NaN), (begin, version) => {
        const refused = { ...begin, fingerprint: { version, digest: Buffer.alloc(1) } };
        expect(() => encoded(refused)).toThrow(/int32/);
      }),
      { numRuns: 20 },
    );
  });
});

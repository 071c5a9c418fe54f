import { describe, expect, test } from 'vitest';
import { checkMetadata, checkStatus, type MetadataEntry } from '../../src/core/answer.js';
import { OncewardError } from '../../src/core/errors.js';
import { checkLabels } from '../../src/core/labels.js';
import { Violations } from '../../src/core/violations.js';
import { refusalOf } from '../support/refusal.js';

const list = <T>(length: number, make: (i: number) => T) => Array.from({ length }, (_, i) => make(i));

describe('labels', () => {
  const refusal = (labels: Record<string, string>) =>
    refusalOf((violations) => {
      checkLabels(labels, violations);
    });
  test('the bounds are inside', () => {
    expect(refusal({})).toBe('');
    expect(refusal(Object.fromEntries(list(16, (i) => [`n${i}`, ''])))).toBe('');
    expect(refusal({ ['n'.repeat(63)]: 'ü'.repeat(127) + 'x', 'a.b_c-0': 'a b' })).toBe('');
  });
  test('beyond them is refused, and the value is not told', () => {
    expect(refusal(Object.fromEntries(list(17, (i) => [`n${i}`, ''])))).toBe(
      'labels must have at most 16 entries, has 17',
    );
    for (const name of ['', 'n'.repeat(64), 'Name', 'a b', 'ä', 'a\n']) {
      expect(refusal({ [name]: 'v' })).toBe('labels names must match [a-z0-9_.-]{1,63}');
    }
    expect(refusal({ n: 'ü'.repeat(128) })).toBe('labels.n must have 0 to 255 bytes, has 256');
    for (const value of ['secret\0', 'secret\n', 'secret\x7f', 'secret\ufffd']) {
      expect(refusal({ n: value })).toBe('labels.n must have no control characters');
    }
  });
});

describe('a status', () => {
  const refusal = (code: number, message: string, details: number) =>
    refusalOf((violations) => {
      checkStatus({ code, message, details: Buffer.alloc(details) }, 'status', violations);
    });
  test('has a gRPC code, a message of 4 KiB and details of 16 KiB', () => {
    expect(refusal(0, '', 0)).toBe('');
    expect(refusal(16, 'ü'.repeat(2048), 16 * 1024)).toBe('');
    expect(refusal(17, '', 0)).toBe('status.code must be 0 to 16');
    expect(refusal(-1, '', 0)).toBe('status.code must be 0 to 16');
    expect(refusal(1, 'ü'.repeat(2048) + 'x', 0)).toBe('status.message must have 0 to 4096 bytes, has 4097');
    expect(refusal(1, '', 16 * 1024 + 1)).toBe('status.details must have 0 to 16384 bytes, has 16385');
  });
});

describe('metadata', () => {
  const entry = (name: string, value: string | number): MetadataEntry => ({
    name,
    value: typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.alloc(value, 'x'),
  });
  const refusal = (initial: MetadataEntry[], trailing: MetadataEntry[] = []) =>
    refusalOf((violations) => {
      checkMetadata({ initial_metadata: initial, trailing_metadata: trailing }, 'result.', violations);
    });
  test('the bounds are inside, and names may come again', () => {
    expect(refusal([])).toBe('');
    expect(refusal([entry('a', ''), entry('a', 'two words~')], [entry('raw-bin', '\0\xff')])).toBe('');
    expect(refusal([entry('n'.repeat(128), 8 * 1024)])).toBe('');
    expect(
      refusal(
        list(32, () => entry('a', 'v')),
        list(32, () => entry('b', 'v')),
      ),
    ).toBe('');
    expect(refusal([entry('ab', 8 * 1024 - 2)], [entry('cd', 8 * 1024 - 2)])).toBe('');
  });
  test.each([
    ['no name', entry('', 'v')],
    ['129 characters', entry('n'.repeat(129), 'v')],
    ['capitals', entry('Name', 'v')],
    ['a colon', entry(':path', 'v')],
    ['reserved', entry('grpc-status', 'v')],
    ['a line feed', entry('a\n', 'v')],
  ])('a name with %s is refused', (_, bad) => {
    expect(refusal([], [bad])).toContain('result.trailing_metadata names must match');
  });
  test('values beyond the bounds are refused', () => {
    expect(refusal([entry('a', 8 * 1024 + 1)])).toContain(
      'result.initial_metadata must have 0 to 8192 bytes, has 8193',
    );
    for (const value of ['\0', 'a\r\nb', '\x7f', '\xff']) {
      expect(refusal([entry('a', value)])).toContain(
        'result.initial_metadata values must be printable ASCII',
      );
    }
  });
  test('the limits hold for both lists together', () => {
    expect(
      refusal(
        list(33, () => entry('a', 'v')),
        list(32, () => entry('b', 'v')),
      ),
    ).toBe('result.metadata must have at most 64 entries, has 65');
    expect(refusal([entry('ab', 8 * 1024 - 2)], [entry('cd', 8 * 1024 - 1)])).toBe(
      'result.metadata must have 0 to 16384 bytes, has 16385',
    );
  });
});

test('an error tells a bounded number of violations, and how many there were', () => {
  const violations = new Violations();
  for (let i = 0; i < 1000; i += 1)
    violations.add(`labels.${'n'.repeat(63)}`, 'must have no control characters');
  let thrown: unknown;
  try {
    violations.throwIfAny();
  } catch (error) {
    thrown = error;
  }
  if (!(thrown instanceof OncewardError)) throw new Error('expected a OncewardError');
  expect(thrown.violations).toHaveLength(16);
  expect(thrown.message).toMatch(/; and 984 more$/);
  // What peers accept in trailers for message and details together, at the least, is 8 KiB.
  const bytes = thrown.message.length + (thrown.violations.length * 140 * 4) / 3;
  expect(bytes).toBeLessThan(8 * 1024);
});

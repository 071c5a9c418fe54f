import { describe, expect, test } from 'vitest';
import { formatKey, keyIn } from '../../src/client/http-key.js';

describe('the key', () => {
  test.each([
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    [' "abc" ', 'abc'],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ['"abc";v=1', 'abc'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
  ])('of %j is %j', (value, key) => {
    expect(keyIn(value)).toBe(key);
    expect(keyIn(formatKey(key))).toBe(key);
  });

  test.each([
    '',
    '""',
    '"a',
    'a b',
    '"a b"',
    '"a"b',
    '"a\\b"',
    '"a", "b"',
    '"a";x, "b"',
    'ü',
    'x'.repeat(256),
  ])('is refused: %j', (value) => {
    expect(() => keyIn(value)).toThrow(/^Idempotency-Key must /);
  });
});

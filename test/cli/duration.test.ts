import { describe, expect, it } from 'vitest';
import { toDuration } from '../../src/client/duration.js';
import { formatDuration, formatRetention, parseDuration, parseRetention } from '../../src/cli/duration.js';

describe('parseDuration', () => {
  it.each([
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', '30 s', '-5s', '1w', '1m30s', '30S', '.5s', '1e3s', 'forever', 'Infinitys'])(
    'refuses %j',
    (text) => {
      expect(() => parseDuration(text)).toThrow('Use e.g. 250ms, 30s, 5m, 2h or 7d.');
    },
  );

  it('refuses what no duration of the protocol can hold', () => {
    expect(parseDuration('1000000d')).toBe(86_400_000e6);
    expect(() => parseDuration('1000001d')).toThrow('It must be at most 1000000d.');
    expect(() => parseRetention('99999999999999999d')).toThrow('It must be at most 1000000d. Or "forever".');
  });

  it('refuses a bare number and says what may have been meant', () => {
    expect(() => parseDuration('30')).toThrow('It has no unit: say 30s or 30ms.');
  });
});

describe('toDuration', () => {
  it('keeps the nanoseconds', () => {
    expect(toDuration(1500)).toEqual({ seconds: 1n, nanos: 500_000_000 });
    expect(toDuration(0.25)).toEqual({ seconds: 0n, nanos: 250_000 });
    expect(toDuration(3650 * 86_400_000)).toEqual({ seconds: 315_360_000n, nanos: 0 });
  });
});

describe('formatDuration', () => {
  it.each(['0s', '1ms', '250ms', '30s', '90s', '5m', '2h', '7d', '29.97s'])(
    'writes %s as it is read',
    (text) => {
      expect(formatDuration(toDuration(parseDuration(text)))).toBe(text);
    },
  );

  it('rounds what nobody reads, but never down to nothing', () => {
    expect(formatDuration(toDuration(29_973.4))).toBe('29.97s');
    expect(formatDuration(toDuration(0.2))).toBe('1ms');
    expect(formatDuration(undefined)).toBe('-');
  });
});

describe('retention', () => {
  it('is a duration or forever', () => {
    expect(formatRetention(parseRetention('forever'))).toBe('forever');
    expect(formatRetention(parseRetention('24h'))).toBe('1d');
    expect(formatRetention(undefined)).toBe('-');
    expect(() => parseRetention('ever')).toThrow('Or "forever".');
  });
});

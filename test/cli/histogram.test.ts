import * as hdr from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import { Histogram } from '../../src/cli/histogram.js';
import { seededRandom } from '../support/seeded-random.js';

const percentiles = [0, 1, 50, 90, 99, 99.9, 100];
const random = seededRandom(7);

/** µs from a millionth of a second to an hour. */
const kinds: readonly (readonly [name: string, draw: () => number])[] = [
  ['equal', () => 1234],
  ['spread evenly', () => random() * 60_000],
  ['spread over all sizes', () => 10 ** (random() * 9.5)],
  ['fast or very slow', () => (random() < 0.985 ? 900 + random() * 200 : 3e6 + random() * 1e6)],
  ['below the steps', () => random() * 2047],
];

describe.each(kinds)('of latencies that are %s', (_, draw) => {
  const values = Array.from({ length: 100_000 }, () => Math.max(1, Math.round(draw())));
  const histogram = new Histogram();
  for (const us of values) histogram.record(us / 1000);

  test('tells what hdr-histogram tells with three digits', () => {
    const other = hdr.build({ highestTrackableValue: 2 ** 32, numberOfSignificantValueDigits: 3 });
    for (const us of values) other.recordValue(us);
    for (const percent of percentiles) {
      const us = (histogram.percentileMs(percent) ?? 0) * 1000;
      expect(Math.abs(us - other.getValueAtPercentile(percent))).toBeLessThanOrEqual(1 + us / 1000);
    }
  });

  test('tells no more than a thousandth above the true one, and never less', () => {
    const sorted = values.toSorted((a, b) => a - b);
    for (const percent of percentiles) {
      const truth = sorted[Math.max(0, Math.round((percent / 100) * sorted.length) - 1)] ?? 0;
      const us = Math.round((histogram.percentileMs(percent) ?? 0) * 1000);
      expect(us).toBeGreaterThanOrEqual(truth);
      expect(us).toBeLessThanOrEqual(truth * (1 + 1 / 1024));
    }
    expect(histogram.count).toBe(values.length);
    expect(histogram.maxMs).toBe((sorted.at(-1) ?? 0) / 1000);
  });
});

test('has no latencies when none was recorded', () => {
  const none = new Histogram();
  expect([none.count, none.percentileMs(50), none.maxMs]).toEqual([0, undefined, undefined]);
});

test('keeps its bounds: nothing at all, and longer than any', () => {
  const histogram = new Histogram();
  histogram.record(0);
  expect(histogram.percentileMs(100)).toBe(0);
  histogram.record(24 * 3_600_000);
  expect(histogram.maxMs).toBe(24 * 3_600_000);
  expect(histogram.percentileMs(100)).toBe((2 ** 32 - 1) / 1000);
});

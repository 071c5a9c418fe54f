import { expect, onTestFinished, test, vi } from 'vitest';
import { RoundTrip } from '../../src/client/round-trip.js';

function timed(): { readonly roundTrip: RoundTrip<object>; readonly answeredAfter: (ms: number) => void } {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const roundTrip = new RoundTrip();
  const answeredAfter = (ms: number) => {
    const call = {};
    roundTrip.sent(call, performance.now());
    vi.advanceTimersByTime(ms);
    roundTrip.answered(call);
  };
  return { roundTrip, answeredAfter };
}

test('is the shorter one of the last two', () => {
  const { roundTrip, answeredAfter } = timed();
  const told = [40, 60, 2000, 50, 70, 80].map((ms) => {
    answeredAfter(ms);
    return roundTrip.ms;
  });
  expect(told).toEqual([0, 40, 60, 50, 50, 70]);
});

test('one call at a time is timed, and another one once that is lost', () => {
  const { roundTrip, answeredAfter } = timed();
  answeredAfter(30);
  const [first, second] = [{}, {}];
  roundTrip.sent(first, performance.now());
  vi.advanceTimersByTime(10);
  answeredAfter(5);
  expect(roundTrip.ms).toBe(0);
  roundTrip.lost(second);
  answeredAfter(5);
  expect(roundTrip.ms).toBe(0);
  roundTrip.lost(first);
  answeredAfter(20);
  expect(roundTrip.ms).toBe(20);
});

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Deadlines } from '../../src/client/deadlines.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Calls that say when they were told that their time is over. */
function recorded() {
  const told: string[] = [];
  const call = (name: string, more: () => void = () => undefined) => ({
    overdue: () => {
      told.push(`${name} ${Math.round(performance.now())}`);
      more();
    },
  });
  return { told, call };
}

test('tells each call once, at most 10 ms late, and none that left', () => {
  const { told, call } = recorded();
  const deadlines = new Deadlines();
  const from = performance.now();
  deadlines.enter(call('a'), from + 35);
  const slot = deadlines.enter(call('left'), from + 36);
  deadlines.enter(call('b'), from + 300);
  vi.advanceTimersByTime(30);
  expect(told).toEqual([]);
  deadlines.leave(slot);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual([`a ${Math.round(from) + 40}`, `b ${Math.round(from) + 300}`]);
});

test('keeps nothing running once nobody is bound', () => {
  const deadlines = new Deadlines();
  const slots = [1, 2, 3].map(() => deadlines.enter(recorded().call('a'), performance.now() + 100));
  expect(vi.getTimerCount()).toBe(1);
  for (const slot of slots) deadlines.leave(slot);
  vi.advanceTimersByTime(10);
  expect(vi.getTimerCount()).toBe(0);
});

test('a call that tries again while it is told is told again', () => {
  const { told, call } = recorded();
  const deadlines = new Deadlines();
  const again = call('again');
  deadlines.enter(
    call('first', () => deadlines.enter(again, performance.now() + 20)),
    performance.now() + 20,
  );
  vi.advanceTimersByTime(1000);
  expect(told).toHaveLength(2);
  expect(vi.getTimerCount()).toBe(0);
});

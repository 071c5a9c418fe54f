import { expect, test } from 'vitest';
import { Budget } from '../../src/cleanup/budget.js';

const limits = { timeBudgetMs: 100, rowBudget: 1000, maxLatencyMs: 60_000, maxReplicationLagMs: 60_000 };

/** How long it rests after a batch that took so long. */
async function restAfter(durationMs: number): Promise<number> {
  const rests: number[] = [];
  let time = 0;
  const budget = new Budget(limits, {
    random: () => 0,
    clock: () => time,
    pause: (ms) => {
      rests.push(ms);
      return Promise.resolve();
    },
    signal: new AbortController().signal,
  });
  await budget.spend(() => {
    time += durationMs;
    return Promise.resolve(undefined);
  });
  expect(rests).toHaveLength(1);
  return rests[0]!;
}

test('after a batch it rests so long that it takes a fifth of the time', async () => {
  expect(await restAfter(10)).toBe(40);
  expect(await restAfter(100)).toBe(400);
});

test('a process that was stopped for an hour in the middle of a batch does not rest for four', async () => {
  expect(await restAfter(3_600_000)).toBe(400);
});

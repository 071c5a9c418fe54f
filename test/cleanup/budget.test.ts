import { describe, expect, test } from 'vitest';
import { Budget } from '../../src/cleanup/budget.js';
import type { Surroundings } from '../../src/cleanup/surroundings.js';
import type { SweptPages } from '../../src/core/sweep-target.js';
import { defaultSettings } from './synthetic-target.js';

/** A budget and a clock that batches move. */
function start() {
  const stopping = new AbortController();
  const rests: number[] = [];
  let time = 0;
  const surroundings: Surroundings = {
    random: () => 0,
    clock: () => time,
    pause: (ms) => {
      rests.push(ms);
      return Promise.resolve();
    },
    signal: stopping.signal,
  };
  const budget = new Budget(defaultSettings, surroundings);
  const spend = (ms: number, swept: Partial<SweptPages> = {}) =>
    budget.spend(() => {
      time += ms;
      return Promise.resolve({
        nowTime: time,
        counts: [],
        removed: new Map(),
        stripped: new Map(),
        ...swept,
      });
    });
  return { budget, spend, rests, stopping };
}

describe('a budget', () => {
  test('is spent by time', async () => {
    const { budget, spend } = start();
    for (let i = 0; i < 24; i += 1) await spend(40);
    expect(budget.outcome()).toBe('done');
    await spend(40);
    expect(budget.outcome()).toBe('budget');
    expect(budget.allows()).toBe(false);
  });

  test('is spent by rows, removed or stripped', async () => {
    const { budget, spend } = start();
    await spend(1, {
      removed: new Map([
        ['a', 20_000],
        ['b', 20_000],
      ]),
    });
    await spend(1, { stripped: new Map([['a', 9_999]]) });
    expect(budget.outcome()).toBe('done');
    await spend(1, { stripped: new Map([['b', 1]]) });
    expect(budget.outcome()).toBe('budget');
  });

  test('is braked by a batch that takes long', async () => {
    const { budget, spend } = start();
    await spend(50);
    expect(budget.outcome()).toBe('done');
    await spend(50.1);
    await spend(1);
    expect(budget.outcome()).toBe('braked');
    expect(budget.allows()).toBe(false);
  });

  test('is braked by a replica that is behind', () => {
    const { budget } = start();
    budget.noteReplicationLag(undefined);
    budget.noteReplicationLag(10_000);
    expect(budget.outcome()).toBe('done');
    budget.noteReplicationLag(10_001);
    expect(budget.outcome()).toBe('braked');
  });

  test('rests four times as long as a batch took', async () => {
    const { spend, rests } = start();
    await spend(10);
    await spend(0.5);
    expect(rests).toEqual([40, 2]);
  });

  test('does not rest for four hours when the process was stopped for one in a batch', async () => {
    const { spend, rests } = start();
    await spend(3_600_000);
    expect(rests).toEqual([4000]);
  });

  test('gives a pass that is late as much time again, braked or not', async () => {
    const { budget, spend } = start();
    await spend(1000);
    expect(budget.outcome()).toBe('braked');
    expect(budget.allowsOverdue()).toBe(true);
    await spend(1000);
    expect(budget.allowsOverdue()).toBe(false);
  });

  test('is over when the sampler is stopped, for a late pass too', () => {
    const { budget, stopping } = start();
    stopping.abort();
    expect(budget.outcome()).toBe('stopped');
    expect(budget.allowsOverdue()).toBe(false);
  });

  test('lets the failure of a batch through', async () => {
    const { budget } = start();
    await expect(budget.spend(() => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    expect(budget.outcome()).toBe('done');
  });
});

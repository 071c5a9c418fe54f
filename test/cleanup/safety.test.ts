import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSetup, type TestSetup } from '../support/coordinator.js';
import { testSeed } from '../support/seed.js';
import { runSafety, type SafetyOptions, type SafetyReport } from './run-safety.js';
import { early, unchecked } from './sabotage.js';
import { installSweepLog } from './sweep-log.js';

/** Cleanup is invisible: `npx tsx test/cleanup/safety.ts --minutes 10` is the long version. */

const seed = testSeed();
let setup: TestSetup;
beforeAll(async () => {
  console.log(`safety: ONCEWARD_TEST_SEED=${seed}`);
  setup = await startSetup({ coordinators: 2 });
  await installSweepLog(setup.database);
});
afterAll(() => setup.stop());

const run = (name: string, options: Pick<SafetyOptions, 'enough'> & Partial<SafetyOptions>) =>
  runSafety({
    ...setup,
    name,
    seed,
    durationMs: 25_000,
    callers: 80,
    retentionMs: 1000,
    enoughMs: 250,
    ...options,
  });

/** What a run must have met at least so often, or it proves little. */
const met = ['removed', 'stripped', 'newLives', 'renewed', 'replays', 'resultExpired', 'uncertain'] as const;
const least = 25;

test('sweeps a hundred times as often as by default remove nothing early, and change no answer', async () => {
  const startTime = performance.now();
  const { counts, wrongAnswers, wrongSweeps } = await run('right', {
    enough: ({ counts }) =>
      performance.now() - startTime > 4000 && met.every((count) => counts[count] >= least),
  });
  console.log('safety:', JSON.stringify(counts));
  expect({ wrongAnswers, wrongSweeps }).toEqual({ wrongAnswers: [], wrongSweeps: [] });
  const { removed, stripped, toldRemoved, toldStripped } = counts;
  expect({ removed, stripped }).toEqual({ removed: toldRemoved, stripped: toldStripped });
  for (const count of met) expect(counts[count], count).toBeGreaterThanOrEqual(least);
});

test.each([
  ['takes for expired what expires within the second', 'early', early],
  ['acts on what it found expired without asking again', 'unchecked', unchecked],
])('a sweep that %s is found out', async (_, name, sabotage) => {
  const foundOut = ({ wrongAnswers, wrongSweeps }: SafetyReport) => ({
    answers: wrongAnswers.length > 0,
    removed: wrongSweeps.some((text) => text.startsWith('removed too early')),
    stripped: wrongSweeps.some((text) => text.startsWith('stripped too early')),
  });
  const report = await run(name, {
    sabotage,
    enough: (sofar) => Object.values(foundOut(sofar)).every((found) => found),
  });
  expect(foundOut(report)).toEqual({ answers: true, removed: true, stripped: true });
});

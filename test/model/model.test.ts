import { afterAll, expect, test } from 'vitest';
import { testSeed } from '../support/seed.js';
import { startModelSetup } from './model-setup.js';
import { findFailure } from './sequences.js';

/** Random sequences of all calls, events and resends against the sequential model, through two real coordinators. */

const seed = testSeed();
const seen = new Map<string, number>();

test('1,000 sequences over two coordinators answer as the model does', { timeout: 180_000 }, async () => {
  console.log(`model: ONCEWARD_TEST_SEED=${seed}`);
  const setup = await startModelSetup(false);
  try {
    const { systemOf } = setup;
    expect(await findFailure({ count: 1000, seed, systemOf, seen, shrink: true })).toBeUndefined();
  } finally {
    await setup.stop();
  }
});

test('200 sequences with a replay cache answer as without', { timeout: 180_000 }, async () => {
  const setup = await startModelSetup(true);
  try {
    const { systemOf } = setup;
    const failure = await findFailure({ count: 200, seed, systemOf, caching: true, shrink: true });
    expect(failure).toBeUndefined();
  } finally {
    await setup.stop();
  }
});

/** What the sequences must have met at least five times, or they prove little. */
test.each([
  'begin execute',
  'begin replay',
  'begin in_progress',
  'begin indeterminate',
  'begin result_expired',
  'begin error KEY_MISMATCH',
  'begin error KEY_TOO_OLD',
  'begin error LEASE_LOST',
  'complete COMPLETED already=false',
  'complete COMPLETED already=true',
  'complete error LEASE_LOST',
  'complete error RESULT_CONFLICT',
  'complete error RECORD_NOT_FOUND',
  'failFinal FAILED already=false',
  'failRetryable RELEASED already=false',
  'failRetryable RELEASED already=true',
  'heartbeat extended',
  'heartbeat error LEASE_LOST',
  'forget forgotten already=false',
  'forget error STATE_CONFLICT',
  'resolve COMPLETED already=false',
  'resolve FAILED already=false',
  'resolve RELEASED already=false',
  'resolve error STATE_CONFLICT',
])('they met: %s', (kind) => {
  expect(seen.get(kind) ?? 0).toBeGreaterThanOrEqual(5);
});

afterAll(() => {
  const met = [...seen].sort().map(([kind, count]) => `${kind}: ${count}`);
  console.log(`model: answers met\n  ${met.join('\n  ')}`);
});

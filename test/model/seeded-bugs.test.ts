import { afterAll, beforeAll, expect, test } from 'vitest';
import { testSeed } from '../support/seed.js';
import { startModelSetup, type ModelSetup } from './model-setup.js';
import { findFailure } from './sequences.js';
import { seededBugs } from './seeded-bugs.js';

/** The negative control of the model: it must see each of these. */

let setup: ModelSetup;
const seed = testSeed();

beforeAll(async () => {
  console.log(`seeded bugs: ONCEWARD_TEST_SEED=${seed}`);
  setup = await startModelSetup(false);
});
afterAll(() => setup.stop());

test.each(seededBugs)('the model sees that $name', { timeout: 60_000 }, async ({ around }) => {
  const systemOf = (key: string) => around(setup.systemOf(key), setup.database, key);
  expect(await findFailure({ count: 320, seed, systemOf })).toContain('ONCEWARD_TEST_SEED');
});

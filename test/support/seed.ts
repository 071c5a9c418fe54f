import { randomInt } from 'node:crypto';

/** The seed of this run's random tests; ONCEWARD_TEST_SEED repeats one. Whoever uses it prints it. */
export function testSeed(): number {
  const given = process.env['ONCEWARD_TEST_SEED'];
  return given === undefined ? randomInt(2 ** 31) : Number(given) | 0;
}

import { expect, test } from 'vitest';
import type { Granted, GrantTerms } from '../../src/core/key-store.js';
import { RecentGrants } from '../../src/coordinator/recent-grants.js';

function grantOf(fencingToken: bigint) {
  const granted: Granted = { fencingToken, attempt: 1, grantTime: 0 };
  return { terms: {} as GrantTerms, granted };
}

test('a grant is taken once, by its own token', () => {
  const grants = new RecentGrants();
  const grant = grantOf(2n ** 62n + 5n);
  grants.add(grant);
  expect(grants.take(5n)).toBeUndefined();
  expect(grants.take(2n ** 62n + 5n)).toBe(grant);
  expect(grants.take(2n ** 62n + 5n)).toBeUndefined();
});

test('the last thousands are known, an older one is forgotten for a newer one', () => {
  const grants = new RecentGrants();
  for (let token = 1n; token <= 20_000n; token += 1n) grants.add(grantOf(token));
  expect(grants.take(20_000n)).toBeDefined();
  expect(grants.take(15_000n)).toBeDefined();
  expect(grants.take(1n)).toBeUndefined();
});

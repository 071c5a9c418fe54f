import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCoordinator } from '../../src/coordinator/coordinator.js';
import type { ClaimAnswer, KeyStore, GrantTerms } from '../../src/core/key-store.js';
import { beginOf, caller } from '../support/begins.js';
import { beginRequest } from '../support/calls.js';
import { startSetup, type TestSetup } from '../support/coordinator.js';
import { openTestStore } from '../support/store.js';
import { until } from '../support/until.js';
import { beginsAtOnce, crowdOf } from './begins-at-once.js';

/** 64 Begins at once on one key, over two coordinators: one is granted, all others are told which attempt runs. */

const rounds = 200;
let setup: TestSetup;

beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
});
afterAll(() => setup.stop());

interface Kind {
  readonly kind: string;
  /** The attempt that must be granted. */
  readonly attempt: number;
  readonly prepare: (prefix: string) => Promise<void>;
}

const kinds: readonly Kind[] = [
  { kind: 'new', attempt: 1, prepare: () => Promise.resolve() },
  { kind: 'released', attempt: 2, prepare: begunAnd("state = 'RELEASED', lease_expire_time = NULL") },
  { kind: 'lapsed', attempt: 2, prepare: begunAnd("lease_expire_time = now() - interval '1 s'") },
];

test.each(kinds)(
  `${rounds} times ${beginsAtOnce} Begins on a $kind key give one grant each`,
  { timeout: 120_000 },
  async ({ kind, attempt, prepare }) => {
    await prepare(kind);
    for (let round = 0; round < rounds; round += 1) {
      const responses = await Promise.all(
        Array.from({ length: beginsAtOnce }, (_, i) =>
          setup.coordinators[i % 2]!.coordinator.begin(beginRequest(`${kind}-${round}`)),
        ),
      );
      expect(crowdOf(responses)).toEqual({ grants: 1, runningAttempts: [attempt], others: [] });
    }
  },
);

function begunAnd(changed: string): Kind['prepare'] {
  return async (prefix) => {
    const { coordinator } = setup.coordinators[0]!;
    for (let round = 0; round < rounds; round += 1)
      await coordinator.begin(beginRequest(`${prefix}-${round}`));
    await setup.database.query(`UPDATE onceward.record SET ${changed} WHERE starts_with(key, $1)`, [prefix]);
  };
}

/**
 * The negative control: the same coordinators over a store that looks first and writes afterwards. Each look waits until
 * the other process has looked too, so that the gap is there every time.
 */
test('a store that checks and then inserts grants more than once', async () => {
  const { url } = setup.database;
  const opened = [await openTestStore(url), await openTestStore(url)] as const;
  const lookers = new Map<string, number>();
  /** One overwrites what the other wrote; were both to remove first, the store's own check would still help. */
  let written: Promise<unknown> = Promise.resolve();
  const naive = ({ store }: (typeof opened)[number]): KeyStore => ({
    ...store,
    claimNew: async (grant: GrantTerms): Promise<ClaimAnswer> => {
      const seen = await store.read(grant.ref, false);
      const { key } = grant.ref;
      lookers.set(key, (lookers.get(key) ?? 0) + 1);
      await until('both have looked', () => lookers.get(key) === 2);
      if (seen !== undefined) return { kind: 'known', ...seen };
      const write = written.then(async () => {
        await setup.database.query('DELETE FROM onceward.record WHERE key = $1', [key]);
        return store.claimNew(grant);
      });
      written = write;
      return write;
    },
  });
  const coordinators = opened.map((each) =>
    createCoordinator({
      store: naive(each),
      sweepTarget: each.sweepTarget,
      replayCache: { maxBytes: 0, maxEntries: 0 },
      onReachable: () => undefined,
    }),
  );
  const key = `naive-${randomBytes(4).toString('hex')}`;
  const outcomes = await Promise.all(
    Array.from({ length: beginsAtOnce }, (_, i) => coordinators[i % 2]!.begin(beginOf(key), caller)),
  );
  expect(outcomes.filter(({ kind }) => kind === 'execute').length).toBeGreaterThan(1);
  for (const each of opened) await each.close();
});

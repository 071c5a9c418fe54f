import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Coordinator } from '../../src/coordinator/coordinator.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { refOf } from '../support/calls.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openTestStore } from '../support/store.js';
import { until } from '../support/until.js';
import { beginOf, caller, completed, coordinatorOver, done } from '../support/begins.js';

/** What Begins of one record that are under way together may tell each other. */

let database: TestDatabase;
let here: OpenStore;
/** Another process. */
let elsewhere: OpenStore;
let other: Coordinator;
let claims = 0;
/** Holds back the answer of the next claim, which was decided in the store. */
let hold = false;
let release: (() => void) | undefined;
let coordinator: Coordinator;

beforeAll(async () => {
  database = await createDatabase();
  here = await openTestStore(database.url);
  elsewhere = await openTestStore(database.url);
  other = coordinatorOver(elsewhere);
  coordinator = coordinatorOver(here, {
    claimNew: async (terms) => {
      claims += 1;
      const answer = await here.store.claimNew(terms);
      if (hold) {
        hold = false;
        await new Promise<void>((resolve) => (release = resolve));
      }
      return answer;
    },
  });
  await Promise.all([coordinator.start(), other.start()]);
});
afterAll(async () => {
  coordinator.stop();
  other.stop();
  await Promise.all([here.close(), elsewhere.close()]);
  await database.drop();
});

/** A Begin whose claim was decided, and is not answered before `release`. */
async function heldBegin(key: string) {
  release = undefined;
  hold = true;
  const outcome = coordinator.begin(beginOf(key), caller);
  await until('the claim was decided', () => release);
  return { outcome, release: () => release?.() };
}

test('a Begin after an acknowledged Complete is answered with its result, also beside one that read before', async () => {
  const granted = await other.begin(beginOf('completed'), caller);
  if (granted.kind !== 'execute') throw new Error(granted.kind);
  const early = await heldBegin('completed');
  const { fencingToken } = granted;
  await other.complete({
    ref: refOf('completed'),
    fencingToken,
    result: done,
    resultRetentionMs: undefined,
  });
  const late = coordinator.begin(beginOf('completed'), caller);
  early.release();
  expect((await early.outcome).kind).toBe('in_progress');
  expect((await late).kind).toBe('replay');
});

test('a Begin after an acknowledged Forget executes, also beside one that read before', async () => {
  await completed(other, 'forgotten');
  const early = await heldBegin('forgotten');
  await other.forget({ ref: refOf('forgotten'), reason: 'test', evenIfLeased: false }, caller);
  const late = coordinator.begin(beginOf('forgotten'), caller);
  early.release();
  expect((await early.outcome).kind).toBe('replay');
  expect((await late).kind).toBe('execute');
});

test.each([
  ['copies of one Begin', () => beginOf('copied')],
  ['Begins of one key', undefined],
])('500 %s at once cost a few claims', async (_, copied) => {
  const copy = copied?.();
  const before = claims;
  const outcomes = await Promise.all(
    Array.from({ length: 500 }, () => coordinator.begin(copy ?? beginOf('sought'), caller)),
  );
  const tokens = outcomes.map((outcome) => ('fencingToken' in outcome ? outcome.fencingToken : 0n));
  expect(new Set(tokens).size).toBe(1);
  expect(claims - before).toBeLessThan(5);
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OncewardError } from '../../src/core/errors.js';
import { completePolicy } from '../../src/core/policy.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { refOf } from '../support/calls.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openTestStore } from '../support/store.js';
import { until } from '../support/until.js';
import { beginOf, caller, completed, coordinatorOver } from '../support/begins.js';

/** What memory misses when the store's news come at a bad moment. */

let database: TestDatabase;
let here: OpenStore;
/** Another process. */
let elsewhere: OpenStore;
beforeAll(async () => {
  database = await createDatabase();
  here = await openTestStore(database.url);
  elsewhere = await openTestStore(database.url);
});
afterAll(async () => {
  await Promise.all([here.close(), elsewhere.close()]);
  await database.drop();
});

test('what changed before the first poll that succeeds is not kept from before', async () => {
  let polls = 0;
  let cut = true;
  const coordinator = coordinatorOver(here, {
    sync: async (revision) => {
      if (cut) throw new OncewardError('STORE_UNAVAILABLE', 'a connection was cut');
      const answer = await here.store.sync(revision);
      polls += 1;
      return answer;
    },
  });
  await coordinator.start();
  try {
    await completed(coordinator, 'forgotten');
    await elsewhere.store.forget({
      ref: refOf('forgotten'),
      principal: 'tester',
      reason: 'x',
      evenIfLeased: false,
    });
    cut = false;
    await until('a poll succeeded', () => polls > 0);
    expect((await coordinator.begin(beginOf('forgotten'), caller)).kind).toBe('execute');
  } finally {
    coordinator.stop();
  }
});

test('a policy that changes while the namespaces are loaded is in force', async () => {
  const put = (policy: Parameters<typeof completePolicy>[0]) =>
    elsewhere.store.putNamespace('test', completePolicy(policy), randomBytes(32), 'tester');
  let polled = 0n;
  let loads = 0;
  const coordinator = coordinatorOver(here, {
    sync: async (revision) => {
      const answer = await here.store.sync(revision);
      polled = answer.revision;
      return answer;
    },
    listNamespaces: async () => {
      const all = await here.store.listNamespaces();
      loads += 1;
      if (loads > 1) return all;
      // The answer is on its way when an operator changes the policy and everybody is told.
      const before = polled;
      await put({ maxLeaseMs: 5000 });
      await until('it was told', () => polled > before);
      return all;
    },
  });
  try {
    await coordinator.start();
    const begun = coordinator.begin({ ...beginOf('policy'), leaseMs: 60_000 }, caller);
    await expect(begun).rejects.toMatchObject({ reason: 'REQUEST_INVALID' });
  } finally {
    coordinator.stop();
    await put({});
  }
});

test('a store that says nothing is told as such while it is silent', async () => {
  const told: boolean[] = [];
  let silent = false;
  const coordinator = coordinatorOver(
    here,
    { sync: (revision) => (silent ? new Promise(() => undefined) : here.store.sync(revision)) },
    (reachable) => told.push(reachable),
  );
  await coordinator.start();
  silent = true;
  try {
    await until('it was told', () => told.length === 2);
    expect(told).toEqual([true, false]);
  } finally {
    coordinator.stop();
  }
});

test('a process that was busy does not take its store for silent', async () => {
  const told: boolean[] = [];
  let polls = 0;
  let asked: (() => void) | undefined;
  const coordinator = coordinatorOver(
    here,
    {
      sync: async (revision) => {
        const answered = here.store.sync(revision);
        asked?.();
        const answer = await answered;
        polls += 1;
        return answer;
      },
    },
    (reachable) => told.push(reachable),
  );
  await coordinator.start();
  try {
    await new Promise<void>((resolve) => (asked = resolve));
    const before = polls;
    // Its answer comes, and nobody looks.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
    await until('a poll more', () => polls > before + 1);
    expect(told).toEqual([true]);
  } finally {
    coordinator.stop();
  }
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runBatch } from '../../src/store/batch.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { Pool } from '../../src/store/pool.js';
import { refOf } from '../../src/store/row.js';
import { loadStatement } from '../../src/store/statement.js';
import type { QueryRow } from '../../src/store/values.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { withHolder } from '../support/holder.js';
import { finishOf, heartbeatOf, openTestStore, releaseOf, termsOf, tokenOf } from '../support/store.js';
import { until } from '../support/until.js';

/** What rides together in one statement: duplicates, and rows that spoil it. */

let database: TestDatabase;
let opened: OpenStore;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url);
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

const claim = (key: string) => tokenOf(opened.store.claimNew(termsOf(key)));

/** The reason of the failure, or the answer. */
function settled<T>(work: Promise<T>): Promise<T | { readonly reason: string }> {
  return work.catch((error: unknown) => ({ reason: (error as { readonly reason: string }).reason }));
}

describe('a record twice in one tick', () => {
  test('claimed twice: one is granted, the other sees that grant', async () => {
    const grants = ['a1', 'a2', 'a3'].map((attemptId) =>
      opened.store.claimNew(termsOf('twice', { attemptId })),
    );
    const beside = opened.store.claimNew(termsOf('beside'));
    const answers = await Promise.all(grants);
    const granted = answers.filter(({ kind }) => kind === 'granted');
    expect(granted).toHaveLength(1);
    for (const answer of answers) {
      if (answer.kind === 'known') expect(answer.record).toMatchObject({ state: 'IN_PROGRESS', attempt: 1 });
    }
    expect((await beside).kind).toBe('granted');
  });

  test('taken over twice: one gets it, the other learns that the record changed', async () => {
    const fencingToken = await claim('over');
    await opened.store.finish(releaseOf('over', fencingToken));
    const seen = await opened.store.read({ namespace: 'test', scope: '', key: 'over' }, false);
    const takeOver = () =>
      opened.store.claimKnown({ ...termsOf('over'), claim: 'take-over', seen: seen!.record });
    const answers = await Promise.all([takeOver(), takeOver()]);
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(1);
  });

  test('finished twice with the same result, and once with another: one is stored, all are told', async () => {
    const fencingToken = await claim('finished');
    const [first, same, other] = await Promise.all([
      opened.store.finish(finishOf('finished', fencingToken)),
      opened.store.finish(finishOf('finished', fencingToken)),
      opened.store.finish(finishOf('finished', fencingToken, 'other')),
    ]);
    expect(first.kind).toBe('done');
    const { resultDigest } = finishOf('finished', fencingToken);
    for (const late of [same, other]) {
      expect(late).toMatchObject({ kind: 'known', record: { state: 'COMPLETED', resultDigest } });
    }
  });

  test('extended twice: both hold', async () => {
    const fencingToken = await claim('extended');
    const beat = () => opened.store.heartbeat(heartbeatOf('extended', fencingToken));
    expect((await Promise.all([beat(), beat()])).map(({ kind }) => kind)).toEqual(['done', 'done']);
  });
});

/** A row that Postgres refuses, and why, among good ones. */
const poisons: readonly (readonly [
  what: string,
  key: string,
  more: Parameters<typeof termsOf>[1],
  reason: string,
])[] = [
  ['a key too long for its CHECK', 'k'.repeat(256), {}, 'INTERNAL'],
  ['a NUL character', 'nul', { operation: 'a\0b' }, 'INTERNAL'],
  ['a lease no timestamp can hold', 'endless', { leaseMs: 1e300 }, 'INTERNAL'],
  ['a label Postgres cannot store', 'label', { labels: { a: '\0' } }, 'INTERNAL'],
];

describe('a poisoned row fails alone', () => {
  test.each(poisons)('claiming: %s', async (what, key, more, reason) => {
    const good = Array.from({ length: 6 }, (_, i) => `${what} ${i}`.replaceAll(' ', '-'));
    const poisoned = settled(opened.store.claimNew(termsOf(key, more)));
    const answers = await Promise.all(good.map((each) => opened.store.claimNew(termsOf(each))));
    expect(answers.map(({ kind }) => kind)).toEqual(good.map(() => 'granted'));
    expect(await poisoned).toEqual({ reason });
  });

  test('finishing: a failure with the code of success', async () => {
    const tokens = await Promise.all(['f1', 'f2', 'f3'].map(claim));
    const [first, poisoned, third] = await Promise.all([
      opened.store.finish(finishOf('f1', tokens[0]!)),
      settled(opened.store.finish({ ...finishOf('f2', tokens[1]!), state: 'FAILED' })),
      opened.store.finish(finishOf('f3', tokens[2]!)),
    ]);
    expect([first.kind, third.kind]).toEqual(['done', 'done']);
    expect(poisoned).toEqual({ reason: 'INTERNAL' });
    // Nothing of it was stored, and it can still be finished.
    expect((await opened.store.finish(finishOf('f2', tokens[1]!))).kind).toBe('done');
  });

  test('extending: a checkpoint over the limit', async () => {
    const tokens = await Promise.all(['h1', 'h2'].map(claim));
    const checkpoint = Buffer.alloc(65_537);
    const [poisoned, good] = await Promise.all([
      settled(opened.store.heartbeat({ ...heartbeatOf('h1', tokens[0]!), checkpoint })),
      opened.store.heartbeat(heartbeatOf('h2', tokens[1]!)),
    ]);
    expect(good.kind).toBe('done');
    expect(poisoned).toEqual({ reason: 'INTERNAL' });
  });
});

test.each(['as it comes', 'reversed'])('each row gets its own answer, %s', async (order) => {
  const refs = ['s1', 's2', 's3'].flatMap((scope) =>
    ['k2', 'k1', 'k3'].map((key) => ({ namespace: 'test', scope, key })),
  );
  const absent = [refs[0], refs[4], refs[8]];
  const there = refs.filter((ref) => !absent.includes(ref));
  await Promise.all(there.map((ref) => opened.store.claimNew(termsOf(ref.key, { ref }))));
  const { url } = database;
  const bounds = { maxConnections: 1, statementTimeoutMs: 5000, connectTimeoutMs: 5000 };
  const pool = new Pool({ url, name: 'test', ...bounds, onIdleError: () => undefined });
  const answers = await pool.use((query) =>
    runBatch(
      async (sent) => (order === 'reversed' ? [...(await query(sent))].reverse() : query(sent)),
      loadStatement('read'),
      refs,
    ),
  );
  await pool.close();
  expect(answers.map((answer) => answer && refOf(answer as QueryRow))).toEqual(
    refs.map((ref) => (absent.includes(ref) ? undefined : ref)),
  );
});

test('two batches over the same keys in opposite order do not deadlock', async () => {
  const keys = Array.from({ length: 40 }, (_, i) => `order-${String(i).padStart(2, '0')}`);
  const tokens = await Promise.all(keys.map(claim));
  const other = await openTestStore(database.url);
  const beats = (store: OpenStore['store'], indexes: readonly number[]) =>
    indexes.map((i) => store.heartbeat(heartbeatOf(keys[i]!, tokens[i]!)));
  const forwards = [...keys.keys()];
  // Both batches stand at the first row in key order, which is the last one for the second batch's callers.
  const answers = await withHolder(database.url, async (holder) => {
    await holder.query('SELECT FROM onceward.record WHERE key = $1 FOR UPDATE', [keys[0]]);
    const all = Promise.all([
      ...beats(opened.store, forwards),
      ...beats(other.store, [...forwards].reverse()),
    ]);
    await until('both batches wait', async () => {
      const waiting = await database.query(
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 2;
    });
    // Whoever locked in the order of arrival would hold the last row by now.
    await holder.query('SELECT FROM onceward.record WHERE key = $1 FOR UPDATE NOWAIT', [keys.at(-1)]);
    await holder.commit();
    return all;
  });
  expect(answers.every(({ kind }) => kind === 'done')).toBe(true);
  await other.close();
});

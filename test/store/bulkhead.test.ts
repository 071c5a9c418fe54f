import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClaimAnswer } from '../../src/core/key-store.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { laneWidths, poolSizes } from '../../src/store/postgres-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { untilBlocked, withHolder, type Holder } from '../support/holder.js';
import { finishOf, heartbeatOf, openTestStore, releaseOf, termsOf, tokenOf } from '../support/store.js';

/**
 * However many Begins there are, those who run an operation can finish it: the claims' connections are all held up by a
 * lock that finishing does not need, so that what gets through shows lanes and connections of its own. No clock is asked.
 */

let database: TestDatabase;
let opened: OpenStore;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url, { statementTimeoutMs: 60_000, connectTimeoutMs: 60_000 });
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

/** Whoever claims one of the flood's keys waits to see what becomes of the same keys here, which are rolled back in the end. */
async function holdUpClaims(holder: Holder): Promise<void> {
  await holder.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       lease_expire_time, record_expire_time, operation, attempt_id)
     SELECT 'test', '', 'flood-' || n, 'IN_PROGRESS', 'RERUN', 1, 1, now(), now(), 'infinity', 'charge', 'a1'
     FROM generate_series(0, 999) n`,
  );
}

const claim = (key: string) => tokenOf(opened.store.claimNew(termsOf(key)));

test('a flood of Begins keeps nobody from finishing, is shed when it is too much, and leaves room for other namespaces', async () => {
  const { store } = opened;
  const tokens = await Promise.all(['complete', 'release', 'beat', 'late'].map(claim));
  const [complete, release, beat, late] = tokens as [bigint, bigint, bigint, bigint];
  let answered = 0;
  const count = (answer: ClaimAnswer): ClaimAnswer => {
    answered += 1;
    return answer;
  };
  const flood = await withHolder(database.url, async (holder) => {
    await holdUpClaims(holder);
    const first = Array.from({ length: 1000 }, (_, i) => store.claimNew(termsOf(`flood-${i}`)).then(count));
    await untilBlocked(database, laneWidths.claim);
    // The lane takes 10,000 of one namespace beside those under way.
    const more = Array.from({ length: 9000 }, (_, i) => store.claimNew(termsOf(`more-${i}`)).then(count));
    const rest = Array.from({ length: 1000 }, (_, i) => store.claimNew(termsOf(`rest-${i}`)).then(count));
    const shed = await Promise.all(
      rest.map((each) =>
        Promise.race([
          each.then(
            () => 'granted',
            (error: unknown) => (error as { readonly reason: string }).reason,
          ),
          new Promise<string>((done) => setImmediate(() => done('waiting'))),
        ]),
      ),
    );
    expect(new Set(shed)).toEqual(new Set(['waiting', 'OVERLOADED']));
    const terms = termsOf('elsewhere');
    const elsewhere = store.claimNew({ ...terms, ref: { ...terms.ref, namespace: 'elsewhere' } });
    const finished = await Promise.all([
      store.finish(finishOf('complete', complete)),
      store.finish(releaseOf('release', release)),
      store.heartbeat(heartbeatOf('beat', beat)),
      // One that comes too late is told so, on a connection of the same pool.
      store.finish(finishOf('late', late + 1_000_000n)),
    ]);
    expect(finished.map(({ kind }) => kind)).toEqual(['done', 'done', 'done', 'known']);
    expect(answered).toBe(0);
    await untilBlocked(database, laneWidths.claim);
    await holder.rollback();
    expect((await elsewhere).kind).toBe('granted');
    return Promise.all([...first, ...more, ...rest.map((each) => each.catch(() => undefined))]);
  });
  const granted = flood.filter((answer) => answer?.kind === 'granted').length;
  expect(granted).toBe(answered);
  // What was not shed is all there.
  const [row] = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM onceward.record WHERE key ~ '^(flood|more|rest)-'`,
  );
  expect(row?.count).toBe(granted);
});

test('reads of operators that hang, and any number of unknown namespaces, do not hold up what memory rests on', async () => {
  const { store } = opened;
  const { revision } = await store.sync(0n);
  await withHolder(database.url, async (holder) => {
    await holder.query('LOCK TABLE onceward.record IN ACCESS EXCLUSIVE MODE');
    const reads = Array.from({ length: 10 }, () => store.readChildren(termsOf('parent').ref, 10));
    await untilBlocked(database, poolSizes.operator);
    expect(await store.readNamespace('test')).toMatchObject({ name: 'test' });
    let answered = 0;
    const unknown = Array.from({ length: 5000 }, (_, i) =>
      store.readNamespace(`unknown-${i}`).then(() => (answered += 1)),
    );
    expect(await store.sync(revision)).toMatchObject({ revision });
    expect(answered).toBeLessThan(unknown.length);
    await Promise.all(unknown);
    await holder.rollback();
    await Promise.all(reads);
  });
});

test('finishing has connections of its own, by name', async () => {
  const fencingToken = await claim('named');
  const pools = await withHolder(database.url, async (holder) => {
    await holder.query("SELECT FROM onceward.record WHERE key = 'named' FOR UPDATE");
    const finished = opened.store.finish(finishOf('named', fencingToken));
    await untilBlocked(database, 1);
    const waiting = await database.query<{ application_name: string }>(
      `SELECT application_name FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    await holder.commit();
    await finished;
    return waiting.map(({ application_name }) => application_name);
  });
  expect(pools).toEqual(['onceward finish']);
});

test('a record that stays locked takes no more connections of Postgres than there are for it', async () => {
  const impatient = await openTestStore(database.url, { statementTimeoutMs: 200 });
  const fencingToken = await claim('locked');
  const counts: number[] = [];
  await withHolder(database.url, async (holder) => {
    await holder.query("SELECT FROM onceward.record WHERE key = 'locked' FOR UPDATE");
    for (let tries = 0; tries < 8; tries += 1) {
      const error: unknown = await impatient.store
        .finish(finishOf('locked', fencingToken))
        .catch((e: unknown) => e);
      expect(error).toMatchObject({ reason: 'STORE_UNAVAILABLE' });
      const [row] = await database.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'onceward finish' AND wait_event_type = 'Lock'`,
      );
      counts.push(row?.count ?? NaN);
    }
    await holder.rollback();
  });
  await impatient.close();
  expect(Math.max(...counts)).toBeLessThanOrEqual(1);
});

import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sampleOf } from '../../src/core/sample.js';
import type { SweptPages, SweepTarget } from '../../src/core/sweep-target.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { untilBlocked, withHolder } from '../support/holder.js';
import { openTestStore } from '../support/store.js';
import { until } from '../support/until.js';
import { dueRecord, expiredRecords, future, placeOf, sweepPageOf, total } from './swept-records.js';
import { insertRecord } from './valid-records.js';

/** Cleanup beside transactions of others, one step at a time. */

let database: TestDatabase;
let opened: OpenStore;
let target: SweepTarget;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url);
  target = opened.sweepTarget;
});
beforeEach(async () => {
  await database.query('TRUNCATE onceward.record');
  await insertRecord(database, { ...expiredRecords['completed']!, key: "'k'" });
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

async function keys(): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>('SELECT key FROM onceward.record ORDER BY key');
  return rows.map(({ key }) => key);
}

/** Runs `work` while a transaction of another connection, which `text` began, is open; then rolls it back. */
async function during<T>(text: string, work: (other: pg.Client) => Promise<T>): Promise<T> {
  const other = new pg.Client(database.url);
  await other.connect();
  try {
    await other.query('BEGIN');
    await other.query(text);
    return await work(other);
  } finally {
    await other.end();
  }
}

test('a partition that another process is at is left, also after that one died', async () => {
  const { partition, page } = await placeOf(database, 'k');
  const batch = { partition, pages: [page] };
  const lock = `SELECT FROM onceward.partition_sweep WHERE partition = '${partition}' FOR UPDATE`;
  await during(lock, async (other) => {
    expect(await target.sweepPages(batch)).toBeUndefined();
    expect(await keys()).toEqual(['k']);
    // The others are free.
    const elsewhere = partition === 'record_0000' ? 'record_0001' : 'record_0000';
    expect(await target.sweepPages({ partition: elsewhere, pages: [] })).toBeDefined();
    const [{ pid } = { pid: 0 }] = (await other.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))
      .rows;
    other.on('error', () => undefined);
    await database.query('SELECT pg_terminate_backend($1)', [pid]);
  });
  const swept = await until('the partition is free', () => target.sweepPages(batch));
  expect(swept.removed).toEqual(new Map([['test', 1]]));
});

test('ticks that overlap keep their samples, however rows moved between them', async () => {
  const sample = sampleOf({ time: 1, pageCount: 0, drawnPages: 0, visitedPages: 0, counts: [] }, new Map());
  const save = (...partitions: readonly string[]) =>
    target.saveSamples(partitions.map((partition) => ({ partition, sample })));
  const [a, b, c] = ['record_0000', 'record_0001', 'record_0002'] as const;
  const row = (partition: string) =>
    `SELECT FROM onceward.partition_sweep WHERE partition = '${partition}' FOR UPDATE`;
  await withHolder(database.url, async (first) => {
    await first.query(row(a));
    const early = save(a, b, c);
    await untilBlocked(database, 1);
    // From here on `b` lies behind `c`: by place, the later of the two would lock what the earlier one needs last.
    await database.query('UPDATE onceward.partition_sweep SET sample = NULL WHERE partition = $1', [b]);
    await withHolder(database.url, async (second) => {
      await second.query(row(b));
      await first.commit();
      await until('the early one went on', async () => {
        return (await database.query(`${row(a)} SKIP LOCKED`)).length === 0;
      });
      const late = save(b, c);
      await untilBlocked(database, 2);
      await second.commit();
      await Promise.all([early, late]);
    });
  });
});

test.each([
  ['expired', {}],
  ['due', { record_expire_time: future }],
])('a row that is %s and locked is skipped, not waited for', async (_, more) => {
  await database.query('DELETE FROM onceward.record');
  await insertRecord(database, { ...expiredRecords['completed']!, ...more, key: "'k'" });
  await during("SELECT FROM onceward.record WHERE key = 'k' FOR UPDATE", async () => {
    const swept = await sweepPageOf(database, target, 'k');
    expect([total(swept.removed), total(swept.stripped)]).toEqual([0, 0]);
  });
  const swept = await sweepPageOf(database, target, 'k');
  expect(total(swept.removed) + total(swept.stripped)).toBe(1);
});

describe('that change a row between the look and the lock', () => {
  let stopped: OpenStore;

  // The look computes the size of each row last: here it waits in doing so, for whoever holds a lock.
  beforeAll(async () => {
    await database.query(
      `CREATE FUNCTION public.octet_length(value text) RETURNS integer LANGUAGE plpgsql AS $$
       BEGIN
         PERFORM pg_advisory_xact_lock_shared(7400);
         RETURN pg_catalog.octet_length(value);
       END $$`,
    );
    const url = new URL(database.url);
    url.searchParams.set('options', '-c search_path=public,pg_catalog');
    stopped = await openTestStore(url.href.replaceAll('+', '%20'));
  });
  afterAll(async () => {
    await stopped.close();
    await database.query('DROP FUNCTION public.octet_length');
  });

  async function sweepWhile(change: string): Promise<SweptPages> {
    const { partition, page } = await placeOf(database, 'k');
    return during('SELECT pg_advisory_xact_lock(7400)', async (other) => {
      const sweeping = stopped.sweepTarget.sweepPages({ partition, pages: [page] });
      await until('the look waits', async () => {
        const waiting = await database.query(
          `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
           WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()`,
        );
        return waiting.length > 0;
      });
      await database.query(change);
      await other.query('ROLLBACK');
      return (await sweeping)!;
    });
  }

  const renewal = `UPDATE onceward.record SET record_expire_time = ${future} WHERE key = 'k'`;
  const prolonging =
    "UPDATE onceward.record SET result_expire_time = now() + interval '1 min' WHERE key = 'k'";
  const nothing = "SELECT 'nothing'";

  test.each([
    [nothing, 1],
    [renewal, 0],
  ])('an expired one: %s', async (change, removed) => {
    const swept = await sweepWhile(change);
    // It was found expired all the same.
    expect(swept.counts).toMatchObject([{ live: 0, expired: 1 }]);
    expect(total(swept.removed)).toBe(removed);
    expect(await keys()).toHaveLength(1 - removed);
  });

  test.each([
    [nothing, 1],
    [prolonging, 0],
  ])('one whose result is due: %s', async (change, stripped) => {
    await database.query('DELETE FROM onceward.record');
    await insertRecord(database, { ...dueRecord, key: "'k'" });
    const swept = await sweepWhile(change);
    expect(swept.counts).toMatchObject([{ live: 1, strippable: 1 }]);
    expect(total(swept.stripped)).toBe(stripped);
    const whole = await database.query("SELECT FROM onceward.record WHERE result_payload = 'payload'");
    expect(whole).toHaveLength(1 - stripped);
  });
});

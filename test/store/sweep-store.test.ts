import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PageBatch, SweepTarget } from '../../src/core/sweep-target.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openTestStore } from '../support/store.js';
import {
  dueRecord,
  expiredRecords,
  fillWithRecords,
  keptRecords,
  placeOf,
  sweepPageOf,
  sweepQuery,
  total,
} from './swept-records.js';
import { insertNamespace, insertRecord, validRecords, type Columns } from './valid-records.js';

/** What cleanup does to records, and what it remembers. */

let database: TestDatabase;
let opened: OpenStore;
let target: SweepTarget;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url);
  target = opened.sweepTarget;
  await insertNamespace(database, 'other');
});
beforeEach(async () => {
  await database.query('TRUNCATE onceward.record');
  await database.query(
    'UPDATE onceward.partition_sweep SET pass_page = 0, pass_start_time = now(), sample = NULL',
  );
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

async function insertAll(records: Readonly<Record<string, Columns>>, prefix: string, more: Columns = {}) {
  for (const [name, columns] of Object.entries(records)) {
    await insertRecord(database, { ...columns, ...more, key: `'${prefix} ${name}'` });
  }
}

async function keys(): Promise<readonly string[]> {
  const rows = await database.query<{ key: string }>('SELECT key FROM onceward.record ORDER BY key');
  return rows.map(({ key }) => key);
}

function keysOf(records: Readonly<Record<string, Columns>>, prefix: string): readonly string[] {
  return Object.keys(records)
    .map((name) => `${prefix} ${name}`)
    .sort();
}

/** All pages of all partitions. */
async function sweepAll(more: Partial<PageBatch> = {}) {
  const sum = { live: 0, expired: 0, strippable: 0, removed: 0, stripped: 0 };
  for (const { name, pageCount } of await target.readPartitions()) {
    const pages = Array.from({ length: pageCount }, (_, page) => page);
    const swept = (await target.sweepPages({ partition: name, pages, ...more }))!;
    for (const count of swept.counts) {
      sum.live += count.live;
      sum.expired += count.expired;
      sum.strippable += count.strippable;
    }
    sum.removed += total(swept.removed);
    sum.stripped += total(swept.stripped);
  }
  return sum;
}

describe('a batch', () => {
  test('removes what is expired, in any state, and nothing else', async () => {
    await insertAll(keptRecords, 'kept');
    await insertAll(expiredRecords, 'expired');
    const swept = await sweepAll();
    expect(swept).toEqual({ live: 8, expired: 4, strippable: 0, removed: 4, stripped: 0 });
    expect(await keys()).toEqual(keysOf(keptRecords, 'kept'));
    expect(await sweepAll()).toMatchObject({ live: 8, expired: 0, removed: 0 });
  });

  test('strips results that are due, and leaves the rest of the record', async () => {
    await insertRecord(database, { ...dueRecord, key: "'due'" });
    const omitted = { result_payload: 'NULL', result_payload_omitted: 'true' };
    await insertRecord(database, { ...dueRecord, ...omitted, key: "'due, payload omitted'" });
    await insertAll(keptRecords, 'kept');
    expect(await sweepAll()).toEqual({ live: 10, expired: 0, strippable: 2, removed: 0, stripped: 2 });
    const rows = await database.query(
      `SELECT key, result_envelope, result_payload, state, result_code, result_digest IS NULL AS no_digest
       FROM onceward.record WHERE key LIKE 'due%' ORDER BY key`,
    );
    const bare = { result_envelope: null, result_payload: null, no_digest: false };
    expect(rows).toMatchObject([bare, bare]);
    // There is nothing left to strip.
    expect(await sweepAll()).toMatchObject({ strippable: 0, stripped: 0 });
    const whole = await database.query("SELECT FROM onceward.record WHERE result_envelope = 'envelope'");
    expect(whole).toHaveLength(3);
  });

  test('of a namespace leaves the others, and tells of them', async () => {
    await insertAll(expiredRecords, 'expired');
    await insertAll(expiredRecords, 'expired elsewhere', { namespace: "'other'" });
    await insertRecord(database, { ...dueRecord, key: "'due'" });
    const swept = await sweepAll({ namespace: 'other' });
    expect(swept).toEqual({ live: 1, expired: 8, strippable: 1, removed: 4, stripped: 0 });
    expect(await keys()).toEqual(['due', ...keysOf(expiredRecords, 'expired')].sort());
  });

  test('that only looks changes nothing', async () => {
    await insertAll(expiredRecords, 'expired');
    await insertRecord(database, { ...dueRecord, key: "'due'" });
    const swept = await sweepAll({ dryRun: true });
    expect(swept).toEqual({ live: 1, expired: 4, strippable: 1, removed: 0, stripped: 0 });
    expect(await sweepAll()).toMatchObject({ removed: 4, stripped: 1 });
  });

  test('tells what it removed had expired by the time of a sample', async () => {
    const old = { ...expiredRecords['released, abandoned']!, record_expire_time: "now() - interval '1 h'" };
    await insertRecord(database, { ...old, key: "'k'" });
    await insertRecord(database, { ...old, key: "'k'", scope: "'other'", record_expire_time: 'now()' });
    const { partition, page } = await placeOf(database, 'k');
    const { nowTime } = (await target.sweepPages({ partition, pages: [] }))!;
    const sampleTime = nowTime - 60_000;
    const swept = (await target.sweepPages({ partition, pages: [page], sampleTime }))!;
    expect(swept.removed).toEqual(new Map([['test', 2]]));
    expect(swept.removedOfSample).toEqual(new Map([['test', 1]]));
  });

  test('looks at its pages and at no others', async () => {
    await fillWithRecords(database, 5000);
    const { partition, page } = await placeOf(database, 'k4001');
    expect(page).toBeGreaterThan(0);
    const onPage = await database.query<{ rows: number }>(
      `SELECT count(*)::int AS rows FROM onceward.${partition} WHERE (ctid::text::point)[0] = $1`,
      [page],
    );
    const swept = (await target.sweepPages({ partition, pages: [page, 1_000_000] }))!;
    const [count] = swept.counts;
    expect(swept.counts).toMatchObject([{ page, namespace: 'test' }]);
    expect(count!.live + count!.expired).toBe(onPage[0]?.rows);
    expect(count?.oldestExpiredMs).toBeGreaterThanOrEqual(1000);
    expect(swept.removed).toEqual(new Map([['test', count?.expired]]));
    expect(await keys()).toHaveLength(5000 - count!.expired);
  });

  test('tells how many bytes its rows take, with what is out of line', async () => {
    const payload = (bytes: number) => ({ result_payload: `decode(repeat('00', ${bytes}), 'hex')` });
    await insertRecord(database, { ...validRecords.COMPLETED, ...payload(10), key: "'k'" });
    await database.query('ALTER TABLE onceward.record ALTER result_payload SET STORAGE EXTERNAL');
    await insertRecord(database, { ...validRecords.COMPLETED, ...payload(100_000), key: "'k2'" });
    const small = await sweepPageOf(database, target, 'k');
    const large = await sweepPageOf(database, target, 'k2');
    expect(small.counts[0]?.liveBytes).toBeGreaterThan(150);
    expect(small.counts[0]?.liveBytes).toBeLessThan(400);
    expect(large.counts.reduce((sum, { liveBytes }) => sum + liveBytes, 0)).toBeGreaterThan(100_000);
  });

  test('waits for no disk, and lets nothing else go without', async () => {
    const client = new pg.Client(database.url);
    await client.connect();
    const settings: unknown[] = [];
    const sweepThenShow = ['BEGIN', sweepQuery('record_0000', []), 'SHOW synchronous_commit', 'COMMIT'];
    for (const statement of [...sweepThenShow, sweepQuery('record_0000', []), 'SHOW synchronous_commit']) {
      const { rows } = await client.query<{ synchronous_commit: string }>(statement);
      if (statement === 'SHOW synchronous_commit') settings.push(rows[0]?.synchronous_commit);
    }
    await client.end();
    expect(settings).toEqual(['off', 'on']);
  });
});

describe('the pass', () => {
  const partition = 'record_0003';

  async function passOf() {
    return (await target.readPartitions()).find(({ name }) => name === partition)!.pass;
  }

  test('goes on from where it is, and for one of those who ask at once', async () => {
    const batch = { partition, pages: [], pass: { fromPage: 0, toPage: 32 } };
    const swept = await Promise.all([target.sweepPages(batch), opened.sweepTarget.sweepPages(batch)]);
    expect(swept.filter((each) => each !== undefined)).toHaveLength(1);
    expect(await passOf()).toMatchObject({ nextPage: 32 });
    expect(await target.sweepPages(batch)).toBeUndefined();
    expect(await target.sweepPages({ ...batch, pass: { fromPage: 32, toPage: 64 } })).toBeDefined();
    expect(await passOf()).toMatchObject({ nextPage: 64 });
  });

  test('begins anew when it goes on at the first page', async () => {
    const { startTime } = await passOf();
    await target.sweepPages({ partition, pages: [], pass: { fromPage: 0, toPage: 32 } });
    expect((await passOf()).startTime).toBe(startTime);
    await target.sweepPages({ partition, pages: [], pass: { fromPage: 32, toPage: 0 } });
    const pass = await passOf();
    expect(pass.nextPage).toBe(0);
    expect(pass.startTime).toBeGreaterThan(startTime);
  });
});

describe('what the sampler asks for', () => {
  test('a tick is had by one, and by nobody before its time', async () => {
    await database.query("UPDATE onceward.sampler SET tick_time = '-infinity'");
    const asked = await Promise.all(Array.from({ length: 8 }, () => target.claimTick(60_000)));
    expect(asked.filter((had) => had)).toHaveLength(1);
    await database.query("UPDATE onceward.sampler SET tick_time = now() - interval '59 s'");
    expect(await target.claimTick(60_000)).toBe(false);
    await database.query("UPDATE onceward.sampler SET tick_time = now() - interval '60 s'");
    expect(await target.claimTick(60_000)).toBe(true);
  });

  test('samples are kept as they were, and partitions tell of them', async () => {
    const nothing = { rows: 0, squares: 0, bytes: 0 };
    const tallies = { live: { rows: 3, squares: 9, bytes: 700 }, expired: nothing, removed: 1 };
    const pages = {
      time: 1.5,
      pageCount: 9,
      drawnPages: 4,
      visitedPages: 4,
      pageRows: 3,
      oldestExpiredMs: 0,
    };
    const sample = { ...pages, all: tallies, namespaces: [{ namespace: 'constructor', ...tallies }] };
    await target.saveSamples([{ partition: 'record_0005', sample }]);
    await target.saveSamples([]);
    const partitions = await target.readPartitions();
    expect(partitions.filter((each) => each.sample !== undefined)).toMatchObject([
      { name: 'record_0005', sample },
    ]);
  });

  test('partitions tell how large they are', async () => {
    await insertRecord(database, validRecords.COMPLETED);
    const { partition } = await placeOf(database, 'k');
    const partitions = await target.readPartitions();
    expect(partitions).toHaveLength(16);
    for (const { name, pageCount, totalBytes } of partitions) {
      expect(pageCount).toBe(name === partition ? 1 : 0);
      expect(totalBytes).toBeGreaterThan(8192 * pageCount);
    }
  });

  test('without a replica there is no lag', async () => {
    expect(await target.readReplicationLagMs()).toBeUndefined();
  });
});

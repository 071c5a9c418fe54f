import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ReceiptHandle } from '../../src/client/receipt-handle.js';
import { sweepReceipts, type ReceiptSweepOptions } from '../../src/client/sweep-receipts.js';
import { withReceipt } from '../../src/client/with-receipt.js';
import { refOf } from '../support/calls.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

let database: TestDatabase;
let pool: pg.Pool;
beforeAll(async () => {
  database = await createDatabase({ migrated: false });
  // What waits for a lock here waits for good.
  pool = new pg.Pool({ connectionString: database.url, max: 4, lock_timeout: 5000 });
  await pool.query(await readFile(new URL('../../src/client/receipts.sql', import.meta.url), 'utf8'));
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(() => pool.query('TRUNCATE onceward_receipt'));

/** Receipts of these ages, and so again, as many times; four are on a page. */
async function write(agesMs: readonly number[], times = 1): Promise<void> {
  await pool.query(
    `INSERT INTO onceward_receipt (namespace, scope, key, fencing_token, result, create_time)
     SELECT 'payments', '', a || '-' || gen_random_uuid(), 1, convert_to(repeat('r', 1800), 'UTF8'), now() - a * interval '1 ms'
     FROM generate_series(1, $2) n CROSS JOIN unnest($1::float8[]) a ORDER BY n`,
    [agesMs, times],
  );
}

async function count(olderThanMs = 0): Promise<number> {
  const [row] = await database.query<{ count: number }>(
    `SELECT count(*)::int FROM onceward_receipt WHERE create_time <= now() - $1::float8 * interval '1 ms'`,
    [olderThanMs],
  );
  return row!.count;
}

/** The same database, so many intervals after one in which only pages 0 to 31 are due: at the interval's end, nearly. */
async function inInterval(interval: number): Promise<ReceiptHandle> {
  const [row] = await database.query<{ now: number }>(
    'SELECT (extract(epoch FROM now()) * 1000)::float8 AS now',
  );
  const current = Math.floor(row!.now / hourMs);
  const shiftMs = (current - (current % 22) + 22 + interval + 0.99) * hourMs - row!.now;
  const now = `(now() + ${shiftMs} * interval '1 ms')`;
  return { query: (text, values) => pool.query(text.replaceAll('now()', now), values) };
}

/** Of the first 32 pages: they are swept even while this machine is too slow for a tick to go on. */
async function removedOf(options?: ReceiptSweepOptions): Promise<number> {
  return (await sweepReceipts(await inInterval(0), options)).removed;
}

/** A connection of its own: whatever a failing test leaves open goes with it. */
async function withClient<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release(true);
  }
}

/** Slower than what a tick puts up with. */
function slowed(db: ReceiptHandle): ReceiptHandle {
  return {
    query: async (text, values) => {
      if (text.includes('DELETE')) await pool.query('SELECT pg_sleep(0.26)');
      return db.query(text, values);
    },
  };
}

describe('what is removed', () => {
  test('receipts as old as the retention, and no younger one', async () => {
    // The clock is up to 22 hours ahead.
    await write([28 * dayMs, 30 * dayMs, 90 * dayMs, 0]);
    expect(await removedOf()).toBe(2);
    expect([await count(), await count(30 * dayMs)]).toEqual([2, 0]);
    expect(await removedOf({ retentionMs: 10 * dayMs })).toBe(1);
    expect([await count(), await count(dayMs)]).toEqual([1, 0]);
    expect(await removedOf({ retentionMs: 10 * dayMs })).toBe(0);
  });

  test('of an empty table nothing', async () => {
    expect(await removedOf()).toBe(0);
  });

  test('on all pages at once where there is much to find, though none of them is due', async () => {
    await write([31 * dayMs, 0], 400);
    const db = await inInterval(12);
    // This machine may be too slow at times.
    let outcome = 'braked';
    while (outcome === 'braked') ({ outcome } = await sweepReceipts(db));
    expect(outcome).toBe('done');
    expect([await count(), await count(30 * dayMs)]).toEqual([400, 0]);
  });

  test('through a handle that answers an array of rows', async () => {
    await write([31 * dayMs, 0]);
    const arrays = (db: ReceiptHandle): ReceiptHandle => ({
      query: async (text, values) => ((await db.query(text, values)) as pg.QueryResult<object>).rows,
    });
    const { removed } = await sweepReceipts(arrays(await inInterval(0)));
    expect([removed, await count()]).toEqual([1, 1]);
  });

  test('a key whose receipt was removed takes effect again', async () => {
    const ref = refOf('order-1');
    const run = (value: string) =>
      withClient(async (client) => {
        await client.query('BEGIN');
        const given = await withReceipt(client, { ref, fencingToken: 1n }, () => Promise.resolve(value));
        await client.query('COMMIT');
        return given;
      });
    expect([await run('first'), await run('second')]).toEqual(['first', 'first']);
    await pool.query(`UPDATE onceward_receipt SET create_time = create_time - interval '31 days'`);
    await removedOf();
    expect(await run('third')).toBe('third');
  });
});

describe('others at the table', () => {
  test.each(['FOR UPDATE', 'FOR KEY SHARE'])('a receipt locked %s is left for later', async (lock) => {
    await write([31 * dayMs, 40 * dayMs]);
    await withClient(async (client) => {
      await client.query('BEGIN');
      await client.query(`SELECT FROM onceward_receipt WHERE key LIKE '${40 * dayMs}-%' ${lock}`);
      expect(await removedOf()).toBe(1);
      expect(await count(39 * dayMs)).toBe(1);
      await client.query('COMMIT');
    });
    expect(await removedOf()).toBe(1);
  });

  test('a receipt that is being written is neither touched nor waited for', async () => {
    await withClient(async (client) => {
      await client.query('BEGIN');
      await client.query(
        `INSERT INTO onceward_receipt VALUES ('payments', '', 'slow', 1, '\\x00', now() - interval '40 days')`,
      );
      expect(await removedOf()).toBe(0);
      await client.query('COMMIT');
    });
    expect(await count()).toBe(1);
  });

  test('several that sweep at once remove each receipt once', async () => {
    await write([31 * dayMs], 600);
    await write([0], 5);
    // In these all of the 152 pages are due.
    const intervals = await Promise.all([0, 2, 4].map(inInterval));
    const one = async () => {
      let removed = 0;
      for (const db of intervals) removed += (await sweepReceipts(db)).removed;
      return removed;
    };
    const removed = await Promise.all([one(), one(), one()]);
    expect(removed.reduce((sum, rows) => sum + rows)).toBe(600);
    expect(await count()).toBe(5);
  });
});

describe('the bound', () => {
  test('nothing expired stays for longer, though every other call fails and the table grows', async () => {
    // One in 40 is expired, which is too few for the tick to go on.
    await write([31 * dayMs, ...Array.from({ length: 39 }, () => 0)], 80);
    for (let interval = 0; interval < 24; interval += 2) {
      await sweepReceipts(await inInterval(interval));
      await write([0], 100);
    }
    expect(await count(30 * dayMs)).toBe(0);
    expect(await count()).toBe(80 * 39 + 1200);
  });

  test('holds on a database that is slow', async () => {
    await write([31 * dayMs], 4 * 70);
    // Pages 0 to 63 are due, and no other one is looked at.
    expect(await sweepReceipts(slowed(await inInterval(1)))).toEqual({ removed: 4 * 64, outcome: 'braked' });
  });

  test('ends with the time that a call has', async () => {
    await write([31 * dayMs], 4 * 70);
    const { removed } = await sweepReceipts(slowed(await inInterval(1)), { timeBudgetMs: 100 });
    expect(removed).toBe(4 * 32);
  });
});

describe('an abort', () => {
  test('ends it after the statement under way', async () => {
    await write([31 * dayMs], 4 * 70);
    const stop = new AbortController();
    const db = await inInterval(1);
    const statements: string[] = [];
    const aborting: ReceiptHandle = {
      query: (text, values) => {
        statements.push(text);
        if (text.includes('DELETE')) stop.abort();
        return db.query(text, values);
      },
    };
    const answer = await sweepReceipts(aborting, { signal: stop.signal });
    expect(answer).toEqual({ removed: 4 * 32, outcome: 'stopped' });
    expect(statements).toHaveLength(2);
  });

  test('ends a rest', async () => {
    await write([31 * dayMs]);
    const stop = new AbortController();
    const db = await inInterval(0);
    // After a statement of 1.5 s it rests for 6 s, in which the abort comes.
    const resting: ReceiptHandle = {
      query: async (text, values) => {
        if (!text.includes('DELETE')) return db.query(text, values);
        await pool.query('SELECT pg_sleep(1.5)');
        const answer = await db.query(text, values);
        setTimeout(() => stop.abort(), 10);
        return answer;
      },
    };
    const startTime = performance.now();
    await sweepReceipts(resting, { signal: stop.signal });
    expect(performance.now() - startTime).toBeLessThan(5000);
  });

  test('before it begins leaves everything', async () => {
    await write([31 * dayMs]);
    const signal = AbortSignal.abort();
    expect(await sweepReceipts(await inInterval(0), { signal })).toEqual({ removed: 0, outcome: 'stopped' });
    expect(await count()).toBe(1);
  });
});

describe('what is refused', () => {
  const retention = 'retentionMs must be 86400000 ms to 315360000000 ms';
  const every = 'everyMs must be 1000 ms to 86400000 ms';
  const budget = 'timeBudgetMs must be 1 ms to 3600000 ms';
  test.each<[ReceiptSweepOptions, string]>([
    [{ retentionMs: dayMs - 1 }, retention],
    [{ retentionMs: Infinity }, retention],
    [{ retentionMs: NaN }, retention],
    [{ everyMs: 999 }, every],
    [{ everyMs: dayMs + 1 }, every],
    [{ timeBudgetMs: 0 }, budget],
    [{ timeBudgetMs: hourMs + 1 }, budget],
    [{ retentionMs: 0, everyMs: 0, timeBudgetMs: 0 }, [retention, every, budget].join('; ')],
  ])('%j', async (options, message) => {
    await write([31 * dayMs]);
    await expect(sweepReceipts(pool, options)).rejects.toThrow(message);
    expect(await count()).toBe(1);
  });

  test('a database without receipts', async () => {
    const other = await createDatabase({ migrated: false });
    try {
      const db = { query: async (text: string, values: unknown[]) => other.query<object>(text, values) };
      await expect(sweepReceipts(db)).rejects.toThrow('relation "onceward_receipt" does not exist');
    } finally {
      await other.drop();
    }
  });
});

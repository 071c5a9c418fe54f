import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { classify } from '../../src/store/failure.js';
import { Pool, type PoolOptions, type Query } from '../../src/store/pool.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { until } from '../support/until.js';
import { answerMarks } from '../support/wire-marks.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await database.query('CREATE TABLE note (text text)');
});
afterAll(() => database.drop());

/** One connection, so that what happens to it shows. */
function openPool(options: Partial<PoolOptions> = {}) {
  const idleErrors: Error[] = [];
  const pool = new Pool({
    url: database.url,
    name: 'onceward test',
    settings: {},
    maxConnections: 1,
    statementTimeoutMs: 10_000,
    connectTimeoutMs: 5000,
    onIdleError: (error) => idleErrors.push(error),
    ...options,
  });
  onTestFinished(() => pool.close());
  return { pool, idleErrors };
}

async function pidOf(query: Query): Promise<unknown> {
  const [row] = await query('SELECT pg_backend_pid() AS pid');
  return row?.['pid'];
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** What a server that is stopped says to each connection: an ErrorResponse. */
const shutDown = (() => {
  const fields = ['SFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
})();

const kill = (pid: unknown) => database.query('SELECT pg_terminate_backend($1)', [pid]);

describe('a connection', () => {
  test('is kept after a definite failure', async () => {
    const { pool } = openPool();
    const pid = await pool.use(pidOf);
    for (const wrong of ['SELEC', "SELECT 'x'::int", 'SELECT 1/0']) {
      expect(classify(await failureOf(pool.use((query) => query(wrong))))).not.toBe('unknown');
    }
    expect(await pool.use(pidOf)).toBe(pid);
  });

  test('is destroyed after a timeout, since its answer may still come', async () => {
    const { pool } = openPool({ statementTimeoutMs: 300 });
    const pid = await pool.use(pidOf);
    const error = await failureOf(pool.use((query) => query('SELECT pg_sleep(30)')));
    expect(classify(error)).toBe('unknown');
    expect(await pool.use(pidOf)).not.toBe(pid);
    // The statement itself goes on until Postgres notices; here it need not.
    await kill(pid);
  });

  test('is destroyed after a timeout that its work got over', async () => {
    const { pool } = openPool({ statementTimeoutMs: 300 });
    const pid = await pool.use(async (query) => {
      const own = await pidOf(query);
      expect(classify(await failureOf(query('SELECT pg_sleep(30)')))).toBe('unknown');
      return own;
    });
    expect(await pool.use(pidOf)).not.toBe(pid);
    await kill(pid);
  });

  test('that is cut under a statement leaves the outcome unknown, and the next one works', async () => {
    const { pool } = openPool();
    const error = await failureOf(
      pool.use(async (query) => {
        const pid = await pidOf(query);
        const cut = failureOf(query('SELECT pg_sleep(30)'));
        await kill(pid);
        throw await cut;
      }),
    );
    expect(classify(error)).toBe('unknown');
    expect(await pool.use((query) => query('SELECT 1 AS n'))).toEqual([{ n: 1 }]);
  });

  test('that is cut while idle is reported, ends nothing, and is replaced', async () => {
    const { pool, idleErrors } = openPool();
    const pid = await pool.use(pidOf);
    await kill(pid);
    await until('the loss is reported', () => idleErrors.length === 1);
    expect(await pool.use(pidOf)).not.toBe(pid);
  });

  test('that breaks with what it read when it was opened fails its statement, and ends nothing', async () => {
    const isReady = answerMarks.postgres();
    let opened = 0;
    const { url, proxy } = await proxyDatabase(database.url, {
      onServerData: (chunk) => {
        if (!isReady(chunk) || opened > 0) return 'pass';
        opened += 1;
        return Buffer.concat([chunk, shutDown]);
      },
    });
    onTestFinished(() => proxy.close());
    const { pool } = openPool({ url });
    expect(classify(await failureOf(pool.use(pidOf)))).toBe('unknown');
    expect(await pool.use(pidOf)).toBeTypeOf('number');
  });

  test('to a server that turned read-only is given up, so that the next one finds the primary', async () => {
    const { pool } = openPool();
    const pid = await pool.use(async (query) => {
      // What a demoted primary looks like from a session that outlived the change.
      await query('SET default_transaction_read_only = on');
      return pidOf(query);
    });
    const error = await failureOf(pool.use((query) => query("INSERT INTO note VALUES ('lost')")));
    expect(classify(error)).toBe('unavailable');
    expect(await pool.use(pidOf)).not.toBe(pid);
    await pool.use((query) => query("INSERT INTO note VALUES ('kept')"));
  });

  test('is waited for no longer than the bound', async () => {
    const { pool } = openPool({ connectTimeoutMs: 200 });
    let letGo: () => void = () => undefined;
    const busy = pool.use(() => new Promise<void>((done) => (letGo = done)));
    const error = await failureOf(pool.use(pidOf));
    expect(error).toBeInstanceOf(Error);
    letGo();
    await busy;
    expect(await pool.use(pidOf)).toBeTypeOf('number');
  });
});

test('a commit that is only local counts as unknown', async () => {
  const { pool } = openPool();
  const warn = "DO $$ BEGIN RAISE WARNING USING ERRCODE = '01000', MESSAGE = 'not replicated'; END $$";
  const pid = await pool.use(pidOf);
  const error = await failureOf(pool.use((query) => query(warn)));
  expect(error).toMatchObject({ message: 'committed locally, but perhaps not replicated' });
  expect(classify(error)).toBe('unknown');
  // The next use of the pool is not tainted.
  expect(await pool.use(pidOf)).not.toBe(pid);
});

describe('a transaction', () => {
  test('is committed as a whole, and rolled back as a whole', async () => {
    const { pool } = openPool();
    await pool.transaction(async (query) => {
      await query("INSERT INTO note VALUES ('first')");
      await query("INSERT INTO note VALUES ('second')");
    });
    const broken = pool.transaction(async (query) => {
      await query("INSERT INTO note VALUES ('third')");
      await query('SELECT 1/0');
    });
    expect(classify(await failureOf(broken))).toBe('row');
    const found = await pool.use((query) =>
      query("SELECT text FROM note WHERE text IN ('first', 'second', 'third')"),
    );
    expect(found.map(({ text }) => text)).toEqual(['first', 'second']);
    const [state] = await pool.use((query) => query('SELECT pg_current_xact_id_if_assigned() AS id'));
    expect(state).toEqual({ id: null });
  });

  test('whose work fails for a reason of its own leaves nothing open', async () => {
    const { pool } = openPool();
    const failed = pool.transaction(async (query) => {
      await query("INSERT INTO note VALUES ('own')");
      throw new Error('own');
    });
    expect(await failureOf(failed)).toMatchObject({ message: 'own' });
    expect(await pool.use((query) => query("SELECT FROM note WHERE text = 'own'"))).toEqual([]);
  });
});

describe('values', () => {
  const instant = "'2026-03-29 01:30:00.123456+00'::timestamptz";

  test.each(['UTC', 'Asia/Kolkata', 'America/St_Johns', 'Pacific/Chatham', 'Europe/Berlin'])(
    'are times to the microsecond in %s',
    async (zone) => {
      const { pool } = openPool();
      const [row] = await pool.use(async (query) => {
        await query(`SET timezone = '${zone}'`);
        return query(`SELECT ${instant} AS time, 'infinity'::timestamptz AS never`);
      });
      expect(row?.['time']).toBeCloseTo(Date.UTC(2026, 2, 29, 1, 30) + 123.456, 3);
      expect(row?.['never']).toBe(Infinity);
    },
  );

  test('are bigints where a number would lose', async () => {
    const { pool } = openPool();
    const [row] = await pool.use((query) => query('SELECT 9223372036854775807 AS n'));
    expect(row).toEqual({ n: 2n ** 63n - 1n });
  });
});

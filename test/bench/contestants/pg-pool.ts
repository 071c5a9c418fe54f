/**
 * What a service writes by hand: a table with a unique key, a named INSERT … ON CONFLICT DO NOTHING before and a named UPDATE
 * after, over a pool of 20. It has no lease, no fence and no fingerprint.
 */
import pg from 'pg';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';

const [url = ''] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 20 });
await pool.query(
  `CREATE TABLE IF NOT EXISTS idempotency (key text PRIMARY KEY, state text NOT NULL, result bytea,
     create_time timestamptz NOT NULL DEFAULT now(), expire_time timestamptz NOT NULL)`,
);

takeOrders(async (key) => {
  const claimed = await pool.query({
    name: 'claim',
    text: `INSERT INTO idempotency (key, state, expire_time) VALUES ($1, 'started', now() + interval '1 day')
           ON CONFLICT (key) DO NOTHING RETURNING key`,
    values: [key],
  });
  if (claimed.rowCount === 0) {
    const text = `SELECT result FROM idempotency WHERE key = $1 AND state = 'completed' AND expire_time > now()`;
    const { rows } = await pool.query<{ result: Buffer }>({ name: 'read', text, values: [key] });
    if (rows[0]?.result.length !== sample.result.payload?.length) throw new Error('no result');
    return 'replayed';
  }
  const text = `UPDATE idempotency SET state = 'completed', result = $2 WHERE key = $1 AND state = 'started'`;
  const { rowCount } = await pool.query({ name: 'complete', text, values: [key, sample.result.payload] });
  if (rowCount !== 1) throw new Error('not completed');
  return 'executed';
});

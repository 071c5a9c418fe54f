import pg from 'pg';
import { sample } from './sample.js';

export type KeyKind = 'random' | 'time-ordered';

/** How a key is made from `i`, the number of the row. */
const keyOf: Readonly<Record<KeyKind, (count: number) => string>> = {
  random: () => 'random(1::bigint, 9223372036854775807)::text',
  // UUIDv7 of the last twelve hours, in order.
  'time-ordered': (count) => `uuidv7((i::float8 / ${count} - 1) * interval '12 h')::text`,
};

const step = 100_000;

/** Stores so many finished records that have a day to live, over two connections, and leaves a vacuumed table. */
export async function fillRecords(databaseUrl: string, count: number, keys: KeyKind): Promise<void> {
  const clients = [new pg.Client(databaseUrl), new pg.Client(databaseUrl)];
  for (const client of clients) await client.connect();
  const [first] = clients;
  let begun = 0;
  const worker = async (client: pg.Client) => {
    while (begun < count) {
      const from = begun;
      begun += step;
      await insert(client, from, Math.min(step, count - from), count, keys);
      process.stdout.write(`\rfilling with ${keys} keys: ${Math.min(begun, count)} of ${count}`);
    }
  };
  await Promise.all(clients.map(worker));
  await first?.query(`SELECT setval('onceward.fencing_token', ${count + 1})`);
  await first?.query('VACUUM (ANALYZE) onceward.record');
  await first?.query('CHECKPOINT');
  process.stdout.write('\n');
  for (const client of clients) await client.end();
}

async function insert(
  client: pg.Client,
  from: number,
  rows: number,
  count: number,
  keys: KeyKind,
): Promise<void> {
  await client.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, finish_time,
       result_expire_time, record_expire_time, operation, fingerprint_version, fingerprint_digest, result_code, result_digest,
       result_envelope, result_payload)
     SELECT $1, $5, ${keyOf[keys](count)}, 'COMPLETED', 'RERUN', 1, i + 1, now(), now(), now() + interval '1 d',
       now() + interval '1 d', $2, $6, $7, 0, $8, $9, $10
     FROM generate_series($3::bigint, $3::bigint + $4 - 1) i`,
    [
      sample.namespace,
      sample.operation,
      from,
      rows,
      sample.scope,
      sample.fingerprint.version,
      sample.fingerprint.digest,
      sample.resultDigest,
      sample.envelope,
      sample.result.payload,
    ],
  );
}

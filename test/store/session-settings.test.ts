import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import pg from 'pg';
import { acceptedSettings, planningByKey } from '../../src/store/session-settings.js';
import { connectionConfig } from '../../src/store/pool.js';
import { loadStatement } from '../../src/store/statement.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const rows = Array.from({ length: 20 }, (_, i) => ({ namespace: 'test', scope: '', key: `key-${i}` }));

test.each(['one', 'many'] as const)(
  '%s: every lane finds records by index, on an empty store too',
  async (form) => {
    const { lanes, warnings } = await acceptedSettings(database.url, 3000, 1000);
    expect(warnings).toEqual([]);
    expect(await planOf(form, lanes)).not.toMatch(/Seq Scan on record/);
  },
);

test('left alone, Postgres reads whole partitions', async () => {
  expect(await planOf('many', {})).toMatch(/Seq Scan on record/);
});

test('settings in the URL win over ours, and the rest of ours stays', async () => {
  const url = `${database.url}&options=-c%20jit%3Don`;
  const client = new pg.Client(connectionConfig(url, planningByKey));
  await client.connect();
  const { rows: found } = await client.query(
    "SELECT current_setting('jit') AS jit, current_setting('enable_seqscan') AS enable_seqscan",
  );
  await client.end();
  expect(found).toEqual([{ jit: 'on', enable_seqscan: 'off' }]);
});

test('a pooler that refuses start-up settings is lived with, and told of', async () => {
  const pooler = createServer(refuseOptions);
  pooler.listen(0, '127.0.0.1');
  await once(pooler, 'listening');
  onTestFinished(() => void pooler.close());
  const { port } = pooler.address() as AddressInfo;
  const { lanes, others, warnings } = await acceptedSettings(
    `postgres://user@127.0.0.1:${port}/onceward`,
    3000,
    1000,
  );
  expect([lanes, others]).toEqual([{}, {}]);
  expect(warnings).toEqual([expect.stringContaining('plan_cache_mode = force_generic_plan')]);
});

async function planOf(form: 'one' | 'many', settings: Readonly<Record<string, string>>): Promise<string> {
  const client = new pg.Client(connectionConfig(database.url, settings));
  await client.connect();
  try {
    const statement = loadStatement('read');
    const lines = rows.map((row) => statement.one(row).values as string[]);
    const [line = []] = lines;
    const { text } = form === 'many' ? statement.many(rows) : statement.one(rows[0] ?? {});
    await client.query(`PREPARE read AS ${text}`);
    const values =
      form === 'many' ? line.map((_, i) => `{${lines.map((each) => `"${each[i]}"`).join(',')}}`) : line;
    const given = values.map((value) => pg.escapeLiteral(value)).join(', ');
    const { rows: plan } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN EXECUTE read(${given})`);
    return plan.map((each) => each['QUERY PLAN']).join('\n');
  } finally {
    await client.end();
  }
}

/** As PgBouncer does with settings it does not track. */
function refuseOptions(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.once('data', () => {
    const fields = 'SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter in options: plan_cache_mode\0\0';
    const message = Buffer.alloc(5);
    message.write('E');
    message.writeUInt32BE(fields.length + 4, 1);
    socket.end(Buffer.concat([message, Buffer.from(fields)]));
  });
}

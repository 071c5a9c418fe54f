import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isUnreachable } from '../../src/store/failure.js';
import { connectionConfig } from '../../src/store/pool.js';
import { startTlsPostgres, type TlsPostgres } from '../support/tls-postgres.js';

/** sslmode in the database URL means what it means to libpq, against a server with a self-signed certificate. */

let postgres: TlsPostgres;

beforeAll(async () => {
  postgres = await startTlsPostgres();
});
afterAll(() => postgres.stop());

/** Whether the session is encrypted; rejects as the connection does. */
async function encrypted(host: string, parameters: string): Promise<unknown> {
  const query = parameters.replace('CERT', encodeURIComponent(postgres.certificate));
  const client = new pg.Client(
    connectionConfig(`postgresql://onceward@${host}:${postgres.port}/onceward${query}`),
  );
  // A refusal ends the connection once more after it was told.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ ssl: boolean }>(
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    return rows[0]?.ssl;
  } finally {
    await client.end().catch(() => undefined);
  }
}

test.each([
  ['require, which asks for encryption only', 'localhost', '?sslmode=require'],
  ['require after another parameter', 'localhost', '?application_name=x&sslmode=require'],
  ['prefer', 'localhost', '?sslmode=prefer'],
  ['verify-full with the CA and the right name', 'localhost', '?sslmode=verify-full&sslrootcert=CERT'],
  ['verify-ca with the CA and another name', '127.0.0.1', '?sslmode=verify-ca&sslrootcert=CERT'],
  ['require with a CA, which it then checks', 'localhost', '?sslmode=require&sslrootcert=CERT'],
])('%s connects encrypted', async (_, host, parameters) => {
  expect(await encrypted(host, parameters)).toBe(true);
});

test.each([
  ['verify-full without the CA', 'localhost', '?sslmode=verify-full', /self-signed certificate/],
  ['verify-ca without a CA', 'localhost', '?sslmode=verify-ca', /CA|certificate|verify/i],
  [
    'verify-full with another name',
    '127.0.0.1',
    '?sslmode=verify-full&sslrootcert=CERT',
    /Hostname\/IP does not match/,
  ],
  ['disable', 'localhost', '?sslmode=disable', /no encryption/],
  ['no sslmode', 'localhost', '', /no encryption/],
])('%s is refused', async (_, host, parameters, reason) => {
  const error: unknown = await encrypted(host, parameters).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(String(error)).toMatch(reason);
  // Waiting would not help, so the program says so at once instead of trying again.
  expect(isUnreachable(error)).toBe(false);
});

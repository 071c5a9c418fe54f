import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { connectionConfig } from './pool.js';

export interface MigrationStatus {
  /** Versions of the program, oldest first. */
  readonly known: readonly Migration[];
  /** Version the schema is at; 0 before the first migration. */
  readonly schemaVersion: number;
  /** Hash partitions; undefined before the first migration. */
  readonly partitionCount: number | undefined;
}

interface Migration {
  readonly version: number;
  readonly name: string;
}

/** The schema does not fit the program or its configuration; the message says what to do. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

const folder = new URL('migrations/', import.meta.url);
/** Any number that is ours: "once" in ASCII. */
const advisoryLock = 0x6f6e6365;

/** Bound of opening the connection, ms. */
const defaultConnectTimeoutMs = 5000;
const defaultPartitionCount = 16;

/**
 * Brings the schema up to the program, in one transaction under a transaction-level advisory lock, so that any number of
 * processes may do it at once and a killed one leaves nothing. `partitionCount`, a power of two as the settings have it, is used by
 * the first migration; later a different one is refused.
 */
export async function migrate(
  url: string,
  partitionCount?: number,
  connectTimeoutMs = defaultConnectTimeoutMs,
): Promise<MigrationStatus> {
  return withClient(url, connectTimeoutMs, async (client) => {
    await client.query('BEGIN');
    await client.query("SET LOCAL lock_timeout = '60s'");
    await client.query(`SELECT pg_advisory_xact_lock(${advisoryLock})`);
    const before = await readStatus(client);
    refuseNewer(before);
    const pending = before.known.filter(({ version }) => version > before.schemaVersion);
    if (pending.length > 0) await apply(client, pending, partitionCount ?? defaultPartitionCount);
    const after = await readStatus(client);
    checkSchema(after, partitionCount);
    await client.query('COMMIT');
    return after;
  });
}

/** What `migrate` would find, without changing anything. */
export function migrationStatus(
  url: string,
  connectTimeoutMs = defaultConnectTimeoutMs,
): Promise<MigrationStatus> {
  return withClient(url, connectTimeoutMs, readStatus);
}

/** Refuses a schema that is older or newer than the program, or has another partition count than configured. */
export function checkSchema(status: MigrationStatus, partitionCount: number | undefined): void {
  refuseNewer(status);
  if (status.known.some(({ version }) => version > status.schemaVersion)) {
    throw new SchemaError(
      `the schema is at version ${status.schemaVersion}, older than this program; run \`onceward migrate up\``,
    );
  }
  if (partitionCount !== undefined && status.partitionCount !== partitionCount) {
    throw new SchemaError(
      `the key store has ${status.partitionCount} partitions and ${partitionCount} are configured: the count is ` +
        'chosen at the first migration and cannot change; configure the one it has, or none',
    );
  }
}

function refuseNewer({ known, schemaVersion }: MigrationStatus): void {
  const newest = known.at(-1)?.version ?? 0;
  if (schemaVersion > newest) {
    throw new SchemaError(
      `the schema is at version ${schemaVersion}, newer than this program's ${newest}: run a newer program`,
    );
  }
}

async function apply(
  client: pg.Client,
  pending: readonly Migration[],
  partitionCount: number,
): Promise<void> {
  await client.query('CREATE SCHEMA IF NOT EXISTS onceward');
  await client.query(
    `CREATE TABLE IF NOT EXISTS onceward.schema_migration (
       version integer PRIMARY KEY, name text NOT NULL, apply_time timestamptz NOT NULL DEFAULT now())`,
  );
  for (const { version, name } of pending) {
    const sql = readFileSync(new URL(name, folder), 'utf8');
    await client.query(sql.replaceAll('{{partition_count}}', String(partitionCount)));
    await client.query('INSERT INTO onceward.schema_migration (version, name) VALUES ($1, $2)', [
      version,
      name,
    ]);
  }
  // Not of onceward.record: an empty table that was analyzed counts as one row, and a plan made for that reads all rows
  // for a batch, long after they have become many. One that never was is taken for some pages, as it soon will have.
  await client.query('ANALYZE onceward.namespace, onceward.store_instance');
}

async function readStatus(client: pg.Client): Promise<MigrationStatus> {
  const known = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => ({ version: Number.parseInt(name, 10), name }));
  const exists = await client.query<{ there: boolean }>(
    "SELECT to_regclass('onceward.schema_migration') IS NOT NULL AS there",
  );
  if (exists.rows[0]?.there !== true) return { known, schemaVersion: 0, partitionCount: undefined };
  const { rows } = await client.query<{ version: number; partition_count: number }>(
    `SELECT max(m.version) AS version, (SELECT partition_count FROM onceward.store_instance) AS partition_count
     FROM onceward.schema_migration m`,
  );
  const [row] = rows;
  return { known, schemaVersion: row?.version ?? 0, partitionCount: row?.partition_count };
}

async function withClient<T>(
  url: string,
  connectTimeoutMs: number,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    ...connectionConfig(url),
    application_name: 'onceward migrate',
    // A server that accepts and says nothing would hold the start for ever.
    connectionTimeoutMillis: connectTimeoutMs,
  });
  // The statement under way gets the failure; without a listener a connection that breaks would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    // An open transaction is rolled back with its connection.
    await client.end();
  }
}

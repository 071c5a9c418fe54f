import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import type { ServeProcess } from '../support/child.js';
import { putNamespace } from '../support/namespaces.js';
import { parentOf } from './cpu.js';
import { once } from './once.js';
import { startRedis, type Redis } from './redis.js';
import { sample } from './sample.js';
import { startCoordinator } from './start-coordinator.js';
import { startPostgres } from './start-postgres.js';
import type { Undo } from './with-undo.js';

/** What contestants stand on; each part is started when the first one needs it, and all their data is on one disk. */
export interface Venue {
  readonly folder: string;
  readonly undo: Undo;
  /** For the coordinator and for our contestant. */
  readonly profileFlags: readonly string[];
  readonly postgres: () => Promise<VenuePostgres>;
  readonly redis: (durability: 'none' | 'always') => Promise<Redis>;
  readonly coordinator: () => Promise<ServeProcess>;
}

export interface VenuePostgres {
  readonly url: string;
  readonly pid: number | undefined;
  /** Settings that matter here, in one line. */
  readonly facts: string;
}

export async function openVenue(undo: Undo, profileFlags: readonly string[]): Promise<Venue> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-bench-'));
  await undo(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const postgres = once(async () => {
    // 64 clients of pgbench and the pools beside the coordinator.
    const { url } = await startPostgres(undo, { max_connections: '150' });
    return { url, ...(await inspect(url)) };
  });
  const redis = (durability: 'none' | 'always') =>
    once(async () => {
      const server = await startRedis(folder, durability);
      await undo(() => server.stop());
      return server;
    });
  const redises = { none: redis('none'), always: redis('always') };
  const coordinator = once(async () => {
    const server = await startCoordinator(undo, (await postgres()).url, profileFlags);
    await declareNamespace(server.address);
    return server;
  });
  return { folder, undo, profileFlags, postgres, redis: (durability) => redises[durability](), coordinator };
}

export async function declareNamespace(address: string): Promise<void> {
  const connection = connectCoordinator({ address });
  await putNamespace(connection, sample.namespace);
  connection.close();
}

async function inspect(url: string): Promise<Omit<VenuePostgres, 'url'>> {
  const client = new pg.Client(url);
  await client.connect();
  const names = [
    'fsync',
    'full_page_writes',
    'synchronous_commit',
    'shared_buffers',
    'max_wal_size',
    'min_wal_size',
  ];
  const { rows } = await client.query<{ pid: number; version: string; settings: string[] }>(
    `SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
       (SELECT array_agg(name || ' = ' || current_setting(name)) FROM unnest($1::text[]) AS name) AS settings`,
    [names],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('Postgres did not tell its settings');
  const pid = parentOf(row.pid);
  await client.end();
  return { pid, facts: `Postgres ${row.version}: ${row.settings.join(', ')}` };
}

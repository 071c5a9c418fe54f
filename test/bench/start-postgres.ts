import pg from 'pg';
import { startScratchPostgres, type ScratchPostgres } from '../support/scratch-postgres.js';
import type { Undo } from './with-undo.js';

/** Two gigabytes: five minutes of what a bench writes, after which a checkpoint frees the first ones. */
const walSegments = 128;

/**
 * A Postgres for measuring, whose checkpoints come by time, and with segments of its log to use again, as one has that runs for a
 * while. A new one makes each segment when it is needed, 16 MB of zeros that are synced while nobody commits: 20 to 40 ms. `undo`
 * stops it.
 */
export async function startPostgres(
  undo: Undo,
  settings: Readonly<Record<string, string>> = {},
): Promise<ScratchPostgres> {
  const walSettings = { min_wal_size: '2GB', max_wal_size: '8GB' };
  const server = await startScratchPostgres({ ...walSettings, ...settings });
  await undo(() => server.stop());
  const client = new pg.Client(server.url);
  // Ctrl-C stops the server under it; what it waits for fails with the same error.
  client.on('error', () => undefined);
  await client.connect();
  await client.query(
    `DO $$ BEGIN FOR i IN 1..${walSegments} LOOP
       PERFORM pg_logical_emit_message(false, '', ''), pg_switch_wal();
     END LOOP; END $$`,
  );
  await client.query('CHECKPOINT');
  await client.end();
  return server;
}

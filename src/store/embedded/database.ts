import pg from 'pg';
import { socketPort } from './folders.js';

export const superuser = 'onceward';

/**
 * `localhost` is only there to make it a URL for everybody: node-postgres and libpq both let the `host` parameter win,
 * and an empty host would be refused by `new URL`.
 */
export function databaseUrl(socketFolder: string, database: string): string {
  const host = encodeURIComponent(socketFolder);
  return `postgresql://${superuser}@localhost/${database}?host=${host}&port=${socketPort}`;
}

/** Runs at every start, because a kill between initdb and the first one would otherwise leave it out forever. */
export async function ensureDatabase(
  socketFolder: string,
  database: string,
): Promise<{ readonly version: string }> {
  const client = new pg.Client({ connectionString: databaseUrl(socketFolder, 'postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; present: boolean }>(
      `SELECT current_setting('server_version') AS version,
              EXISTS (SELECT FROM pg_database WHERE datname = $1) AS present`,
      [database],
    );
    if (rows[0]?.present !== true) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
    // Distributions append their own name: `15.14 (Debian 15.14-0+deb12u1)`.
    return { version: rows[0]?.version.split(' ')[0] ?? '' };
  } finally {
    await client.end();
  }
}

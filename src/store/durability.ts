import type { Pool } from './pool.js';

export interface StoreFacts {
  /** E.g. `18.4`. */
  readonly postgresVersion: string;
  /** What the store can't promise as it is set up, one sentence each. */
  readonly warnings: readonly string[];
}

/** The store would lose acknowledged commits; the message says which setting and what to do. */
export class DurabilityError extends Error {
  override readonly name = 'DurabilityError';
}

const oldestVersion = 140_000;
const testedBelow = 190_000;

/**
 * Refuses a Postgres that would lose acknowledged commits, and says what it can't promise. `relaxed` accepts
 * synchronous_commit off or local, for an operator who has decided so.
 */
export async function checkDurability(pool: Pool, relaxed: boolean): Promise<StoreFacts> {
  const [row] = await pool.use((query) =>
    query(`SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
        current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('synchronous_standby_names') AS standbys,
        current_setting('default_transaction_read_only') AS read_only, pg_is_in_recovery() AS in_recovery`),
  );
  if (row === undefined) throw new Error('Postgres did not tell its settings');
  const number = row['number'] as number;
  const version = (row['version'] as string).split(' ')[0] ?? '';
  const warnings: string[] = [];
  if (number < oldestVersion)
    throw new DurabilityError(`Postgres ${version} is too old: 14 to 18 are supported`);
  if (number >= testedBelow)
    warnings.push(`Postgres ${version} is newer than what Onceward was tested on (14 to 18)`);
  for (const setting of ['fsync', 'full_page_writes']) {
    if (row[setting] !== 'on') {
      throw new DurabilityError(
        `Postgres runs with ${setting} = ${String(row[setting])}: a crash would lose results; set it on`,
      );
    }
  }
  if (row['in_recovery'] === true || row['read_only'] === 'on') {
    throw new DurabilityError(
      'Postgres is read-only (a standby, or default_transaction_read_only): use the primary',
    );
  }
  const commit = String(row['synchronous_commit']);
  if (commit === 'off' || commit === 'local') {
    if (!relaxed) {
      throw new DurabilityError(
        `Postgres runs with synchronous_commit = ${commit}: acknowledged results could be lost; set it on, or accept ` +
          'the loss with ONCEWARD_RELAXED_DURABILITY=true',
      );
    }
    warnings.push(`synchronous_commit is ${commit}: the last acknowledged results can be lost in a crash`);
  }
  if (row['standbys'] === '') {
    warnings.push('no synchronous standby: a failover can lose the last acknowledged results');
  }
  return { postgresVersion: version, warnings };
}

import pg from 'pg';
import { connectionConfig, type SessionSettings } from './pool.js';

/**
 * How sessions of lanes plan. Their statements find every record by its whole key, so one plan serves for ever: a probe
 * of the primary key's index for each row. Left alone, Postgres plans `finish` anew at each call, since a plan that prunes
 * partitions only when it runs looks dear, and it reads whole partitions for a batch while they are small, going on with
 * that plan while they grow.
 */
export const planningByKey: SessionSettings = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  jit: 'off',
};

/** What a pooler answers to start-up settings it does not know: protocol_violation. */
const refusedByPooler = '08P01';

/**
 * Postgres gives a statement up a little before we do, as a share of our bound: what waits for a lock there does not notice that its
 * client has left, and would keep its connection beside the one that took its place. And what Postgres gave up is definitely undone.
 */
const boundShare = 0.9;

export interface AcceptedSettings {
  /** Of the sessions that lanes use. */
  readonly lanes: SessionSettings;
  readonly others: SessionSettings;
  readonly warnings: readonly string[];
}

/** The settings for our sessions, or none where a pooler in between does not let them pass. */
export async function acceptedSettings(
  url: string,
  statementTimeoutMs: number,
  connectTimeoutMs: number,
): Promise<AcceptedSettings> {
  const others = { statement_timeout: String(Math.ceil(statementTimeoutMs * boundShare)) };
  const lanes = { ...planningByKey, ...others };
  const client = new pg.Client({
    ...connectionConfig(url, lanes),
    connectionTimeoutMillis: connectTimeoutMs,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return { lanes, others, warnings: [] };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== refusedByPooler) throw error;
    const wanted = Object.entries(lanes).map(([name, value]) => `${name} = ${value}`);
    const warning =
      'a connection pooler refuses start-up settings, so statements may be planned poorly and outlive their callers; ' +
      `ALTER ROLE … SET them: ${wanted.join(', ')}`;
    return { lanes: {}, others: {}, warnings: [warning] };
  } finally {
    await client.end();
  }
}

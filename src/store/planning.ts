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

/** The settings for the sessions of lanes, or none where a pooler in between does not let them pass. */
export async function acceptedPlanning(
  url: string,
  connectTimeoutMs: number,
): Promise<{ readonly settings: SessionSettings; readonly warnings: readonly string[] }> {
  const client = new pg.Client({
    ...connectionConfig(url, planningByKey),
    connectionTimeoutMillis: connectTimeoutMs,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return { settings: planningByKey, warnings: [] };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== refusedByPooler) throw error;
    const wanted = Object.entries(planningByKey).map(([name, value]) => `${name} = ${value}`);
    const warning =
      'a connection pooler refuses start-up settings, so statements may be planned poorly; ALTER ROLE … SET them: ' +
      wanted.join(', ');
    return { settings: {}, warnings: [warning] };
  } finally {
    await client.end();
  }
}

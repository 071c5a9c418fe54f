import { setTimeout as sleep } from 'node:timers/promises';
import type { SweepTarget } from '../../src/core/sweep-target.js';
import type { TestDatabase } from '../support/database.js';

/** Sweeps that break the promise, each run before the real one: what the judge must find. */
export type Sabotage = (real: SweepTarget, query: TestDatabase['query']) => SweepTarget;

/** Takes for expired what expires within the second. */
export const early: Sabotage = (real, query) => ({
  ...real,
  sweepPages: async (batch) => {
    const table = `onceward.${batch.partition}`;
    await query(`DELETE FROM ${table} WHERE record_expire_time <= now() + interval '1 s'`);
    await query(
      `UPDATE ${table} SET result_envelope = NULL, result_payload = NULL
       WHERE result_expire_time <= now() + interval '1 s' AND result_envelope IS NOT NULL`,
    );
    return real.sweepPages(batch);
  },
});

/** How long it takes from looking to acting, ms. */
const hesitationMs = 500;

/** Finds what is expired, and acts a moment later without asking again: keys are renewed in between. */
export const unchecked: Sabotage = (real, query) => ({
  ...real,
  readPartitions: async () => {
    const expired = await query<{ name: string }>(
      `SELECT namespace || '/' || key AS name FROM onceward.record WHERE record_expire_time <= now()`,
    );
    await sleep(hesitationMs);
    // Half of them, since who was removed can't be stripped.
    const removed = expired.filter((_, i) => i % 2 === 0).map(({ name }) => name);
    const stripped = expired.filter((_, i) => i % 2 === 1).map(({ name }) => name);
    await query(`DELETE FROM onceward.record WHERE namespace || '/' || key = ANY ($1)`, [removed]);
    await query(
      `UPDATE onceward.record SET result_envelope = NULL, result_payload = NULL
       WHERE namespace || '/' || key = ANY ($1) AND result_envelope IS NOT NULL`,
      [stripped],
    );
    return real.readPartitions();
  },
});

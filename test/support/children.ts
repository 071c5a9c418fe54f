import type { KeyRef } from '../../src/gen/onceward/v1/record.js';
import type { TestDatabase } from './database.js';

/** Records `child-<from>` to `child-<to>` called from one, each a second younger than the one before. */
export async function insertChildren(
  database: TestDatabase,
  { namespace, scope, key }: KeyRef,
  from: number,
  to: number,
): Promise<void> {
  await database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       record_expire_time, operation, attempt_id, last_error_status, last_error_time,
       parent_namespace, parent_scope, parent_key)
     SELECT $1, $2, 'child-' || i, 'RELEASED', 'RERUN', 1, 1, now() - interval '1 d' + i * interval '1 s', 'infinity',
       'o', 'a', '', now(), $1, $2, $3
     FROM generate_series($4::int, $5::int) i`,
    [namespace, scope, key, from, to],
  );
}

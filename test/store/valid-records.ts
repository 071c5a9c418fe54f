import type { TestDatabase } from '../support/database.js';

/** SQL expressions by column. */
export type Columns = Readonly<Record<string, string>>;

const common: Columns = {
  namespace: "'test'",
  scope: "''",
  key: "'k'",
  on_lapse: "'RERUN'",
  attempt: '1',
  fencing_token: '5',
  create_time: 'now()',
  operation: "'charge'",
  record_expire_time: "now() + interval '20000 s'",
};

/** One record of each state, as the program would leave it. */
export const validRecords = {
  IN_PROGRESS: {
    ...common,
    state: "'IN_PROGRESS'",
    attempt_id: "'a1'",
    lease_expire_time: "now() + interval '10000 s'",
  },
  RELEASED: {
    ...common,
    state: "'RELEASED'",
    attempt_id: "'a1'",
    last_error_status: "'busy'",
    last_error_time: 'now()',
  },
  INDETERMINATE: { ...common, state: "'INDETERMINATE'", record_expire_time: "'infinity'" },
  COMPLETED: {
    ...common,
    state: "'COMPLETED'",
    finish_time: 'now()',
    result_expire_time: "now() + interval '10000 s'",
    result_code: '0',
    result_digest: "'0123456789abcdef'",
    result_envelope: "'envelope'",
    result_payload: "'payload'",
  },
  FAILED: {
    ...common,
    state: "'FAILED'",
    finish_time: 'now()',
    result_expire_time: "now() + interval '10000 s'",
    result_code: '9',
    result_digest: "'0123456789abcdef'",
    result_envelope: "'envelope'",
  },
} satisfies Readonly<Record<string, Columns>>;

export type ValidState = keyof typeof validRecords;

export async function insertRecord(database: TestDatabase, columns: Columns): Promise<void> {
  const names = Object.keys(columns).join(', ');
  await database.query(
    `INSERT INTO onceward.record (${names}) VALUES (${Object.values(columns).join(', ')})`,
  );
}

export async function insertNamespace(database: TestDatabase, name: string): Promise<void> {
  await database.query(
    `INSERT INTO onceward.namespace (name, on_lapse, default_lease_ms, max_lease_ms, result_retention_ms,
       max_result_retention_ms, tombstone_retention_ms, abandoned_retention_ms, max_result_bytes, refuse_old_keys,
       mint_secret)
     VALUES ($1, 'RERUN', 30000, 3600000, 86400000, 'Infinity', 0, 604800000, 1048576, true, $2)`,
    [name, Buffer.alloc(32)],
  );
}

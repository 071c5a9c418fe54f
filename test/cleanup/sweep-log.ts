import type { TestDatabase } from '../support/database.js';

type Database = Pick<TestDatabase, 'query'>;

/** What the tables' own triggers say of every row that went and every result that was stripped. */
export interface SweepLog {
  readonly removed: number;
  readonly stripped: number;
  /** Keys whose row was given a new life before it was swept. */
  readonly renewed: number;
  readonly violations: readonly string[];
}

/**
 * Logs in the transaction that did it, for every partition. The time of a statement is its now(): what expired after that
 * it must leave alone, however long it takes.
 */
export async function installSweepLog(database: Database): Promise<void> {
  await database.query(schema);
}

export async function clearSweepLog(database: Database): Promise<void> {
  await database.query('TRUNCATE sweep_log');
}

export async function readSweepLog(database: Database): Promise<SweepLog> {
  const counts = await database.query<{ kind: string; rows: number }>(
    'SELECT kind, count(*)::int AS rows FROM sweep_log GROUP BY kind',
  );
  const found = await database.query<{ text: string }>(judgement);
  const of = (kind: string) => counts.find((row) => row.kind === kind)?.rows ?? 0;
  return {
    removed: of('removed'),
    stripped: of('stripped'),
    renewed: of('renewed'),
    violations: found.map(({ text }) => text),
  };
}

const schema = `
CREATE UNLOGGED TABLE sweep_log (
  kind text NOT NULL,
  statement_time timestamptz NOT NULL DEFAULT now(),
  log_time timestamptz NOT NULL DEFAULT clock_timestamp(),
  namespace text NOT NULL,
  key text NOT NULL,
  state onceward.record_state NOT NULL,
  lease_expire_time timestamptz,
  result_expire_time timestamptz,
  record_expire_time timestamptz NOT NULL,
  -- Of a row that was stripped: whether anything but its result changed.
  changed boolean NOT NULL DEFAULT false
);
CREATE FUNCTION log_sweep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sweep_log (kind, namespace, key, state, lease_expire_time, result_expire_time, record_expire_time, changed)
  VALUES (TG_ARGV[0], OLD.namespace, OLD.key, OLD.state, OLD.lease_expire_time, OLD.result_expire_time,
    OLD.record_expire_time,
    TG_ARGV[0] = 'stripped'
      AND to_jsonb(OLD) - 'result_envelope' - 'result_payload' <> to_jsonb(NEW) - 'result_envelope' - 'result_payload');
  RETURN NULL;
END
$$;
-- On the parent they are on every partition.
CREATE TRIGGER log_removed AFTER DELETE ON onceward.record
  FOR EACH ROW EXECUTE FUNCTION log_sweep('removed');
CREATE TRIGGER log_stripped AFTER UPDATE ON onceward.record
  FOR EACH ROW WHEN (OLD.fencing_token = NEW.fencing_token AND OLD.result_envelope IS NOT NULL AND NEW.result_envelope IS NULL)
  EXECUTE FUNCTION log_sweep('stripped');
CREATE TRIGGER log_renewed AFTER UPDATE ON onceward.record
  FOR EACH ROW WHEN (OLD.create_time <> NEW.create_time) EXECUTE FUNCTION log_sweep('renewed');
`;

const judgement = `
SELECT kind || ' ' || wrong || ': ' || namespace || '/' || key || ' ' || state
  || ' by the statement of ' || statement_time || ', record until ' || record_expire_time
  || ', result until ' || coalesce(result_expire_time::text, 'none')
  || ', lease until ' || coalesce(lease_expire_time::text, 'none') AS text
FROM sweep_log
CROSS JOIN LATERAL (VALUES
  ('though kept for ever', kind = 'removed' AND record_expire_time = 'infinity'),
  ('though INDETERMINATE', kind = 'removed' AND state = 'INDETERMINATE'),
  ('though leased', kind = 'removed' AND lease_expire_time > statement_time),
  ('too early', kind = 'removed' AND record_expire_time > statement_time),
  ('too early', kind = 'stripped' AND result_expire_time > statement_time),
  ('with more than the result', kind = 'stripped' AND changed),
  ('too early', kind = 'renewed' AND record_expire_time > statement_time)
) of (wrong, holds)
WHERE holds
ORDER BY log_time`;

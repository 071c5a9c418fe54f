-- The rules of a record as one function of the row. As constraints each was read, planned and prepared anew by every statement
-- for every partition that it touched, which was a quarter to a half of what a batch cost.

CREATE FUNCTION onceward.obeys_rules(r onceward.record) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE broken text;
BEGIN
  broken := CASE
    WHEN length(r.scope) > 255 THEN 'record_scope_check'
    WHEN length(r.key) NOT BETWEEN 1 AND 255 THEN 'record_key_check'
    WHEN r.attempt < 1 THEN 'record_attempt_check'
    WHEN r.attempts_forgiven NOT BETWEEN 0 AND r.attempt THEN 'record_attempts_forgiven_check'
    WHEN r.fencing_token <= 0 THEN 'record_fencing_token_check'
    WHEN length(r.operation) NOT BETWEEN 1 AND 255 THEN 'record_operation_check'
    WHEN octet_length(r.fingerprint_digest) NOT BETWEEN 1 AND 64 THEN 'record_fingerprint_digest_check'
    WHEN length(r.attempt_id) NOT BETWEEN 1 AND 64 THEN 'record_attempt_id_check'
    WHEN octet_length(r.checkpoint) > 65536 THEN 'record_checkpoint_check'
    WHEN (r.state = 'IN_PROGRESS') <> (r.lease_expire_time IS NOT NULL) THEN 'leased_only_in_progress'
    WHEN (r.state IN ('IN_PROGRESS', 'RELEASED')) <> (r.attempt_id IS NOT NULL) THEN 'attempt_id_until_finished'
    -- What must be there is said to be: a comparison with NULL would break no rule.
    WHEN NOT CASE
      WHEN r.state IN ('COMPLETED', 'FAILED') THEN
        r.finish_time IS NOT NULL AND r.result_digest IS NOT NULL
        AND r.result_expire_time IS NOT NULL AND r.result_expire_time <= r.record_expire_time
        AND r.result_code IS NOT NULL AND (r.state = 'COMPLETED') = (r.result_code = 0)
        AND (r.result_payload IS NULL OR (r.result_envelope IS NOT NULL AND NOT r.result_payload_omitted))
      ELSE
        r.finish_time IS NULL AND r.result_digest IS NULL AND r.result_expire_time IS NULL AND r.result_code IS NULL
        AND r.result_payload IS NULL AND r.result_envelope IS NULL AND NOT r.result_payload_omitted
    END THEN 'finished_with_result'
    WHEN r.lease_expire_time > r.record_expire_time THEN 'lease_never_outlives_record'
    WHEN r.state = 'INDETERMINATE' AND r.record_expire_time <> 'infinity' THEN 'indeterminate_is_kept'
    WHEN (r.fingerprint_version IS NULL) <> (r.fingerprint_digest IS NULL) THEN 'fingerprint_is_whole'
    WHEN num_nulls(r.parent_namespace, r.parent_scope, r.parent_key) NOT IN (0, 3) THEN 'parent_is_whole'
  END;
  IF broken IS NULL THEN
    RETURN true;
  END IF;
  RAISE check_violation USING
    MESSAGE = format('a record breaks the rule %I', broken), SCHEMA = 'onceward', TABLE = 'record', CONSTRAINT = broken;
END
$$;

DO $$
DECLARE rule name; partition regclass; name name;
BEGIN
  FOR rule IN SELECT conname FROM pg_constraint WHERE conrelid = 'onceward.record'::regclass AND contype = 'c' LOOP
    EXECUTE format('ALTER TABLE onceward.record DROP CONSTRAINT %I', rule);
  END LOOP;
  FOR partition, name IN
    SELECT c.oid, c.relname FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid WHERE p.inhparent = 'onceward.record'::regclass
  LOOP
    -- On each partition, as a constraint of all can't name the row as a whole. NOT VALID: the rows that are there obeyed the
    -- same rules, and are not to be read again while everybody waits.
    EXECUTE format(
      'ALTER TABLE %s ADD CONSTRAINT obeys_rules CHECK (onceward.obeys_rules(%I::onceward.record)) NOT VALID', partition, name
    );
  END LOOP;
END
$$;

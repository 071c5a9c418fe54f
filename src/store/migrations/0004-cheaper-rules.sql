-- The rules of a record in one expression: a function of one statement is the cheapest, and a state looks only at its own part.
-- Lengths are counted in bytes, as names and ids are visible ASCII.

-- STABLE only so that the planner does not call it.
CREATE FUNCTION onceward.broken_rule(rule name) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RAISE check_violation USING
    MESSAGE = format('a record breaks the rule %I', rule), SCHEMA = 'onceward', TABLE = 'record', CONSTRAINT = rule;
END
$$;

CREATE OR REPLACE FUNCTION onceward.obeys_rules(r onceward.record) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  RETURN CASE
    WHEN octet_length(r.scope) > 255 THEN onceward.broken_rule('record_scope_check')
    WHEN octet_length(r.key) NOT BETWEEN 1 AND 255 THEN onceward.broken_rule('record_key_check')
    WHEN r.attempt < 1 THEN onceward.broken_rule('record_attempt_check')
    WHEN r.attempts_forgiven NOT BETWEEN 0 AND r.attempt THEN onceward.broken_rule('record_attempts_forgiven_check')
    WHEN r.fencing_token <= 0 THEN onceward.broken_rule('record_fencing_token_check')
    WHEN octet_length(r.operation) NOT BETWEEN 1 AND 255 THEN onceward.broken_rule('record_operation_check')
    WHEN octet_length(r.fingerprint_digest) NOT BETWEEN 1 AND 64 THEN onceward.broken_rule('record_fingerprint_digest_check')
    WHEN (r.fingerprint_version IS NULL) <> (r.fingerprint_digest IS NULL) THEN onceward.broken_rule('fingerprint_is_whole')
    WHEN num_nulls(r.parent_namespace, r.parent_scope, r.parent_key) NOT IN (0, 3) THEN onceward.broken_rule('parent_is_whole')
    WHEN octet_length(r.checkpoint) > 65536 THEN onceward.broken_rule('record_checkpoint_check')
    WHEN r.state = 'COMPLETED' OR r.state = 'FAILED' THEN
      CASE
        WHEN r.lease_expire_time IS NOT NULL THEN onceward.broken_rule('leased_only_in_progress')
        WHEN r.attempt_id IS NOT NULL THEN onceward.broken_rule('attempt_id_until_finished')
        -- What must be there is said to be: a comparison with NULL would break no rule.
        WHEN NOT (
          r.finish_time IS NOT NULL AND r.result_digest IS NOT NULL
          AND r.result_expire_time IS NOT NULL AND r.result_expire_time <= r.record_expire_time
          AND r.result_code IS NOT NULL AND (r.state = 'COMPLETED') = (r.result_code = 0)
          AND (r.result_payload IS NULL OR (r.result_envelope IS NOT NULL AND NOT r.result_payload_omitted))
        ) THEN onceward.broken_rule('finished_with_result')
        ELSE true
      END
    WHEN (r.state = 'IN_PROGRESS') <> (r.lease_expire_time IS NOT NULL) THEN onceward.broken_rule('leased_only_in_progress')
    WHEN r.lease_expire_time > r.record_expire_time THEN onceward.broken_rule('lease_never_outlives_record')
    WHEN (r.state = 'INDETERMINATE') <> (r.attempt_id IS NULL) THEN onceward.broken_rule('attempt_id_until_finished')
    WHEN octet_length(r.attempt_id) NOT BETWEEN 1 AND 64 THEN onceward.broken_rule('record_attempt_id_check')
    WHEN r.state = 'INDETERMINATE' AND r.record_expire_time <> 'infinity' THEN onceward.broken_rule('indeterminate_is_kept')
    WHEN r.result_payload_omitted
      OR num_nonnulls(
        r.finish_time, r.result_digest, r.result_expire_time, r.result_code, r.result_payload, r.result_envelope
      ) > 0
      THEN onceward.broken_rule('finished_with_result')
    ELSE true
  END;
END
$$;

-- Reads records without their results.
-- in: namespace text, scope text, key text
SELECT
  r.namespace, r.scope, r.key, r.state, r.on_lapse, r.takeover, r.attempt, r.attempts_forgiven, r.fencing_token, r.create_time,
  r.lease_expire_time, r.finish_time, r.result_expire_time, r.record_expire_time, r.operation,
  r.fingerprint_version, r.fingerprint_digest, r.attempt_id, r.checkpoint, r.result_digest,
  r.last_error_status, r.last_error_time, r.last_error_retry_after_ms,
  r.parent_namespace, r.parent_scope, r.parent_key, r.labels, r.traceparent,
  NULL::smallint AS result_code, NULL::bytea AS result_envelope, NULL::bytea AS result_payload,
  false AS result_payload_omitted, now() AS now_time
FROM :in i
JOIN onceward.record r ON r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key

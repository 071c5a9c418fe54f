-- Reads the records called from one, oldest first.
-- in: namespace text, scope text, key text, row_limit integer
SELECT
  r.namespace, r.scope, r.key, r.state, r.on_lapse, r.takeover, r.attempt, r.attempts_forgiven, r.fencing_token, r.create_time,
  r.lease_expire_time, r.finish_time, r.result_expire_time, r.record_expire_time, r.operation,
  r.fingerprint_version, r.fingerprint_digest, r.attempt_id, r.checkpoint, r.result_digest,
  r.last_error_status, r.last_error_time, r.last_error_retry_after_ms,
  r.parent_namespace, r.parent_scope, r.parent_key, r.labels, r.traceparent,
  NULL::smallint AS result_code, NULL::bytea AS result_envelope, NULL::bytea AS result_payload,
  false AS result_payload_omitted, now() AS now_time
FROM :in i
JOIN onceward.record r
  ON r.parent_namespace = i.namespace AND r.parent_scope = i.scope AND r.parent_key = i.key
  AND r.record_expire_time > now()
ORDER BY r.create_time, r.namespace, r.scope, r.key
LIMIT (SELECT i.row_limit FROM :in i)

-- Grants known keys whose record is still as seen: released, or lapsed (an attempt more), or expired (a new life).
-- in: namespace text, scope text, key text, seen_token bigint, new_token bigint, renew boolean
-- in: operation text, fingerprint_version integer, fingerprint_digest bytea
-- in: attempt_id text, lease_ms float8, on_lapse onceward.on_lapse, abandoned_retention_ms float8
-- in: result_retention_ms float8, parent_namespace text, parent_scope text, parent_key text, labels jsonb
-- in: traceparent text
UPDATE onceward.record r
SET
  state = 'IN_PROGRESS',
  on_lapse = i.on_lapse,
  watched = false,
  takeover = NOT i.renew AND (r.takeover OR r.state = 'IN_PROGRESS'),
  attempt = CASE WHEN i.renew THEN 1 ELSE r.attempt + 1 END,
  attempts_forgiven = CASE WHEN i.renew THEN 0 ELSE r.attempts_forgiven END,
  fencing_token = greatest(i.new_token, r.fencing_token + 1),
  create_time = CASE WHEN i.renew THEN now() ELSE r.create_time END,
  lease_expire_time = onceward.after(i.lease_ms),
  record_expire_time = onceward.after(CASE WHEN i.on_lapse = 'PARK' THEN 'Infinity' ELSE i.lease_ms + i.abandoned_retention_ms END),
  attempt_id = i.attempt_id,
  result_retention_ms = i.result_retention_ms,
  traceparent = i.traceparent,
  checkpoint = CASE WHEN i.renew THEN NULL ELSE r.checkpoint END,
  checkpoint_sequence = 0,
  finish_time = NULL, result_expire_time = NULL, result_code = NULL, result_digest = NULL,
  result_envelope = NULL, result_payload = NULL, result_payload_omitted = false,
  last_error_status = CASE WHEN i.renew THEN NULL ELSE r.last_error_status END,
  last_error_time = CASE WHEN i.renew THEN NULL ELSE r.last_error_time END,
  last_error_retry_after_ms = CASE WHEN i.renew THEN NULL ELSE r.last_error_retry_after_ms END,
  operation = CASE WHEN i.renew THEN i.operation ELSE r.operation END,
  fingerprint_version = CASE WHEN i.renew THEN i.fingerprint_version ELSE r.fingerprint_version END,
  fingerprint_digest = CASE WHEN i.renew THEN i.fingerprint_digest ELSE r.fingerprint_digest END,
  parent_namespace = CASE WHEN i.renew THEN i.parent_namespace ELSE r.parent_namespace END,
  parent_scope = CASE WHEN i.renew THEN i.parent_scope ELSE r.parent_scope END,
  parent_key = CASE WHEN i.renew THEN i.parent_key ELSE r.parent_key END,
  labels = CASE WHEN i.renew THEN i.labels ELSE r.labels END
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.seen_token
  AND CASE
    WHEN i.renew THEN r.record_expire_time <= now()
    ELSE r.record_expire_time > now()
      AND (r.state = 'RELEASED' OR (r.state = 'IN_PROGRESS' AND r.lease_expire_time <= now()))
  END
RETURNING r.namespace, r.scope, r.key, r.fencing_token, r.attempt, r.lease_expire_time

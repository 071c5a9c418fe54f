-- Grants keys nobody has; a key that exists, or is too old to be taken for new, is left alone and not returned.
-- in: namespace text, scope text, key text, operation text, fingerprint_version integer, fingerprint_digest bytea
-- in: attempt_id text, lease_ms float8, on_lapse onceward.on_lapse, abandoned_retention_ms float8
-- in: result_retention_ms float8, parent_namespace text, parent_scope text, parent_key text, labels jsonb
-- in: traceparent text, too_old_time timestamptz
INSERT INTO onceward.record (
  namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, lease_expire_time, record_expire_time,
  operation, fingerprint_version, fingerprint_digest, attempt_id, result_retention_ms,
  parent_namespace, parent_scope, parent_key, labels, traceparent
)
SELECT
  i.namespace, i.scope, i.key, 'IN_PROGRESS', i.on_lapse, 1, nextval('onceward.fencing_token'), now(),
  onceward.after(i.lease_ms),
  onceward.after(CASE WHEN i.on_lapse = 'PARK' THEN 'Infinity' ELSE i.lease_ms + i.abandoned_retention_ms END),
  i.operation, i.fingerprint_version, i.fingerprint_digest, i.attempt_id, i.result_retention_ms,
  i.parent_namespace, i.parent_scope, i.parent_key, i.labels, i.traceparent
FROM :in i
WHERE i.too_old_time > now()
-- The primary key is the only unique index. Named here, it would be looked up for each partition in every statement.
ON CONFLICT DO NOTHING
RETURNING namespace, scope, key, fencing_token, create_time

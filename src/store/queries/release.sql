-- Gives leases back after a retryable failure.
-- in: namespace text, scope text, key text, fencing_token bigint, last_error_status bytea
-- in: last_error_retry_after_ms float8, abandoned_retention_ms float8
UPDATE onceward.record r
SET
  state = 'RELEASED',
  lease_expire_time = NULL,
  record_expire_time = onceward.after(i.abandoned_retention_ms),
  last_error_status = i.last_error_status,
  last_error_time = now(),
  last_error_retry_after_ms = i.last_error_retry_after_ms
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.fencing_token AND r.state = 'IN_PROGRESS' AND r.record_expire_time > now()
RETURNING r.namespace, r.scope, r.key, r.watched

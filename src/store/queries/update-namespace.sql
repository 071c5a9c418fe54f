-- Replaces the policy of a namespace; its secret stays.
-- in: name text, on_lapse onceward.on_lapse, default_lease_ms float8, max_lease_ms float8, max_attempts integer
-- in: result_retention_ms float8, max_result_retention_ms float8, tombstone_retention_ms float8
-- in: abandoned_retention_ms float8, max_result_bytes integer, refuse_old_keys boolean
UPDATE onceward.namespace n
SET
  on_lapse = i.on_lapse,
  default_lease_ms = i.default_lease_ms,
  max_lease_ms = i.max_lease_ms,
  max_attempts = i.max_attempts,
  result_retention_ms = i.result_retention_ms,
  max_result_retention_ms = i.max_result_retention_ms,
  tombstone_retention_ms = i.tombstone_retention_ms,
  abandoned_retention_ms = i.abandoned_retention_ms,
  max_result_bytes = i.max_result_bytes,
  refuse_old_keys = i.refuse_old_keys,
  update_time = now()
FROM :in i
WHERE n.name = i.name
RETURNING n.*

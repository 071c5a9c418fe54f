-- Declares a namespace nobody has declared.
-- in: name text, on_lapse onceward.on_lapse, default_lease_ms float8, max_lease_ms float8, max_attempts integer
-- in: result_retention_ms float8, max_result_retention_ms float8, tombstone_retention_ms float8
-- in: abandoned_retention_ms float8, max_result_bytes integer, refuse_old_keys boolean, mint_secret bytea
INSERT INTO onceward.namespace (
  name, on_lapse, default_lease_ms, max_lease_ms, max_attempts, result_retention_ms, max_result_retention_ms,
  tombstone_retention_ms, abandoned_retention_ms, max_result_bytes, refuse_old_keys, mint_secret
)
SELECT
  i.name, i.on_lapse, i.default_lease_ms, i.max_lease_ms, i.max_attempts, i.result_retention_ms,
  i.max_result_retention_ms, i.tombstone_retention_ms, i.abandoned_retention_ms, i.max_result_bytes,
  i.refuse_old_keys, i.mint_secret
FROM :in i
ON CONFLICT (name) DO NOTHING
RETURNING *

-- Extends leases, never shortens them; a checkpoint older than the stored one is ignored.
-- in: namespace text, scope text, key text, fencing_token bigint, lease_ms float8, checkpoint bytea
-- in: checkpoint_sequence bigint, abandoned_retention_ms float8
UPDATE onceward.record r
SET
  lease_expire_time = greatest(r.lease_expire_time, onceward.after(i.lease_ms)),
  record_expire_time = greatest(r.record_expire_time, onceward.after(i.lease_ms + i.abandoned_retention_ms)),
  checkpoint = CASE
    WHEN i.checkpoint IS NOT NULL AND i.checkpoint_sequence >= r.checkpoint_sequence THEN i.checkpoint
    ELSE r.checkpoint
  END,
  checkpoint_sequence = CASE
    WHEN i.checkpoint IS NOT NULL THEN greatest(i.checkpoint_sequence, r.checkpoint_sequence)
    ELSE r.checkpoint_sequence
  END
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.fencing_token AND r.state = 'IN_PROGRESS' AND r.record_expire_time > now()
RETURNING r.namespace, r.scope, r.key, r.lease_expire_time

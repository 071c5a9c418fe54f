-- Extends leases, never shortens them; a checkpoint older than the stored one is ignored.
-- in: namespace text, scope text, key text, fencing_token bigint, lease_ms float8, checkpoint bytea
-- in: checkpoint_sequence bigint, abandoned_retention_ms float8
UPDATE onceward.record r
SET
  lease_expire_time = greatest(r.lease_expire_time, now() + i.lease_ms * interval '1 millisecond'),
  record_expire_time = CASE
    WHEN r.on_lapse = 'PARK' OR i.abandoned_retention_ms = 'Infinity' THEN 'infinity'
    ELSE greatest(r.lease_expire_time, now() + i.lease_ms * interval '1 millisecond')
      + i.abandoned_retention_ms * interval '1 millisecond'
  END,
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

-- Parks a released or lapsed record that is still as seen; its token is superseded, so its last owner can't finish it.
-- in: namespace text, scope text, key text, seen_token bigint, new_token bigint
UPDATE onceward.record r
SET
  state = 'INDETERMINATE',
  fencing_token = greatest(i.new_token, r.fencing_token + 1),
  lease_expire_time = NULL,
  attempt_id = NULL,
  record_expire_time = 'infinity'
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.seen_token
  AND r.record_expire_time > now()
  AND (r.state = 'RELEASED' OR (r.state = 'IN_PROGRESS' AND r.lease_expire_time <= now()))
RETURNING r.namespace, r.scope, r.key, r.fencing_token, r.attempt, r.record_expire_time AS lease_expire_time

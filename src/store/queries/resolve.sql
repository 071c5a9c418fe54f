-- Decides an indeterminate record, or one whose lease lapsed under PARK; supersedes its token.
-- in: namespace text, scope text, key text, new_token bigint, state onceward.record_state, result_code smallint
-- in: result_digest bytea, result_envelope bytea, result_payload bytea, result_payload_omitted boolean
-- in: result_retention_ms float8, tombstone_retention_ms float8, abandoned_retention_ms float8
UPDATE onceward.record r
SET
  state = i.state,
  fencing_token = greatest(i.new_token, r.fencing_token + 1),
  attempts_forgiven = CASE WHEN i.state = 'RELEASED' THEN r.attempt ELSE r.attempts_forgiven END,
  -- The operator is nobody's attempt: no caller's attempt_id can equal this one, which has a space.
  attempt_id = CASE WHEN i.state = 'RELEASED' THEN 'operator release' END,
  takeover = false,
  lease_expire_time = NULL,
  checkpoint = CASE WHEN i.state = 'RELEASED' THEN r.checkpoint END,
  finish_time = CASE WHEN i.state <> 'RELEASED' THEN now() END,
  result_expire_time = CASE
    WHEN i.state <> 'RELEASED' THEN onceward.after(greatest(r.result_retention_ms, i.result_retention_ms))
  END,
  record_expire_time = onceward.after(CASE
    WHEN i.state = 'RELEASED' THEN i.abandoned_retention_ms
    ELSE greatest(r.result_retention_ms, i.result_retention_ms) + i.tombstone_retention_ms
  END),
  result_code = i.result_code,
  result_digest = i.result_digest,
  result_envelope = i.result_envelope,
  result_payload = i.result_payload,
  result_payload_omitted = i.result_payload_omitted
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.record_expire_time > now()
  AND (
    r.state = 'INDETERMINATE'
    OR (r.state = 'IN_PROGRESS' AND r.on_lapse = 'PARK' AND r.lease_expire_time <= now())
  )
RETURNING r.namespace, r.scope, r.key

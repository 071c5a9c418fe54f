-- Stores results of the attempts that hold the token, lapsed or not.
-- in: namespace text, scope text, key text, fencing_token bigint, state onceward.record_state
-- in: result_code smallint, result_digest bytea, result_envelope bytea, result_payload bytea
-- in: result_payload_omitted boolean, asked_result_retention_ms float8, policy_result_retention_ms float8
-- in: tombstone_retention_ms float8
UPDATE onceward.record r
SET
  state = i.state,
  lease_expire_time = NULL,
  attempt_id = NULL,
  checkpoint = NULL,
  finish_time = now(),
  result_expire_time = onceward.after(
    coalesce(i.asked_result_retention_ms, greatest(r.result_retention_ms, i.policy_result_retention_ms))
  ),
  record_expire_time = onceward.after(
    coalesce(i.asked_result_retention_ms, greatest(r.result_retention_ms, i.policy_result_retention_ms))
    + i.tombstone_retention_ms
  ),
  result_code = i.result_code,
  result_digest = i.result_digest,
  result_envelope = i.result_envelope,
  result_payload = i.result_payload,
  result_payload_omitted = i.result_payload_omitted
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.fencing_token AND r.state = 'IN_PROGRESS' AND r.record_expire_time > now()
RETURNING r.namespace, r.scope, r.key, r.finish_time, r.result_expire_time, r.watched

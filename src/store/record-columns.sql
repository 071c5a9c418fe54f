-- What `:record` stands for: a record without its result, and the time it was read.
r.namespace, r.scope, r.key, r.state, r.on_lapse, r.takeover, r.attempt, r.attempts_forgiven, r.fencing_token, r.create_time,
r.lease_expire_time, r.finish_time, r.result_expire_time, r.record_expire_time, r.operation,
r.fingerprint_version, r.fingerprint_digest, r.attempt_id, r.checkpoint, r.result_digest,
r.last_error_status, r.last_error_time, r.last_error_retry_after_ms,
r.parent_namespace, r.parent_scope, r.parent_key, r.labels, r.traceparent,
now() AS now_time

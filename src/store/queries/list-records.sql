-- One page of records that still count, without results, in key order.
-- in: namespace text, state onceward.record_state, key_prefix text, min_age_ms float8, max_age_ms float8
-- in: after_namespace text, after_scope text, after_key text, row_limit integer
SELECT :record
FROM :in i
JOIN onceward.record r ON (i.namespace IS NULL OR r.namespace = i.namespace)
  AND (i.after_key IS NULL OR (r.key, r.scope, r.namespace) > (i.after_key, i.after_scope, i.after_namespace))
  AND starts_with(r.key, i.key_prefix)
  AND (i.min_age_ms IS NULL OR r.create_time <= now() - i.min_age_ms * interval '1 millisecond')
  AND (i.max_age_ms IS NULL OR r.create_time >= now() - i.max_age_ms * interval '1 millisecond')
  AND r.record_expire_time > now()
  AND (
    i.state IS NULL
    OR i.state = CASE
      WHEN r.state = 'IN_PROGRESS' AND r.on_lapse = 'PARK' AND r.lease_expire_time <= now() THEN 'INDETERMINATE'
      ELSE r.state
    END
  )
ORDER BY r.key, r.scope, r.namespace
LIMIT (SELECT i.row_limit FROM :in i)

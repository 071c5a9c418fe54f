-- Removes a record that still counts, unless it is leased and that was not asked for.
-- in: namespace text, scope text, key text, even_if_leased boolean
DELETE FROM onceward.record r
USING :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.record_expire_time > now()
  AND (i.even_if_leased OR r.state <> 'IN_PROGRESS' OR r.lease_expire_time <= now())
RETURNING r.state, r.operation, r.attempt

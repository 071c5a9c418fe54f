-- Marks attempts under way, so that their end is notified.
-- in: namespace text, scope text, key text, fencing_token bigint
UPDATE onceward.record r
SET watched = true
FROM :in i
WHERE r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key
  AND r.fencing_token = i.fencing_token AND r.state = 'IN_PROGRESS'
RETURNING r.namespace, r.scope, r.key

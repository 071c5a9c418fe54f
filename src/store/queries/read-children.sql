-- Reads the records called from one, oldest first.
-- in: namespace text, scope text, key text, row_limit integer
SELECT :record
FROM :in i
JOIN onceward.record r
  ON r.parent_namespace = i.namespace AND r.parent_scope = i.scope AND r.parent_key = i.key
  AND r.record_expire_time > now()
ORDER BY r.create_time, r.namespace, r.scope, r.key
LIMIT (SELECT i.row_limit FROM :in i)

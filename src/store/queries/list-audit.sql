-- One page of operator actions, newest first.
-- in: namespace text, before bigint, row_limit integer
SELECT a.revision, a.time, a.principal, a.action, a.namespace, a.scope, a.key, a.reason, a.detail::text AS detail
FROM :in i
JOIN onceward.audit a ON (i.namespace IS NULL OR a.namespace = i.namespace)
  AND (i.before IS NULL OR a.revision < i.before)
ORDER BY a.revision DESC
LIMIT (SELECT i.row_limit FROM :in i)

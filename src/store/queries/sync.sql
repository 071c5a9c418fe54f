-- What operators did since a revision, and the database's time, in one snapshot; and the last fencing token drawn.
-- in: revision bigint
SELECT s.revision, now() AS now_time, (SELECT t.last_value FROM onceward.fencing_token t) AS fencing_token, a.action, a.namespace, a.scope, a.key
FROM onceward.store_instance s
CROSS JOIN :in i
LEFT JOIN onceward.audit a ON a.revision > i.revision AND a.revision <= s.revision
ORDER BY a.revision

-- Records an operator action.
-- in: revision bigint, principal text, action text, namespace text, scope text, key text, reason text, detail jsonb
INSERT INTO onceward.audit (revision, principal, action, namespace, scope, key, reason, detail)
SELECT i.revision, i.principal, i.action, i.namespace, i.scope, i.key, i.reason, i.detail FROM :in i
RETURNING revision

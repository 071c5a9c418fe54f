-- Reads records without their results.
-- in: namespace text, scope text, key text
SELECT :record
FROM :in i
JOIN onceward.record r ON r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key

-- Reads records with their results.
-- in: namespace text, scope text, key text
SELECT :record, r.result_code, r.result_envelope, r.result_payload, r.result_payload_omitted
FROM :in i
JOIN onceward.record r ON r.namespace = i.namespace AND r.scope = i.scope AND r.key = i.key

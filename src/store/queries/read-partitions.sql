-- Sizes of the partitions, from the catalogue.
SELECT
  c.relname AS name, c.reltuples::bigint AS estimated_rows, pg_total_relation_size(c.oid) AS total_bytes
FROM pg_inherits p
JOIN pg_class c ON c.oid = p.inhrelid
WHERE p.inhparent = 'onceward.record'::regclass
ORDER BY c.relname

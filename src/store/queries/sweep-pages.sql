-- Looks at pages of one partition; removes what is expired there, and strips results that are down to a tombstone.
-- in: partition text, pages bigint[], pass_from bigint, pass_to bigint, namespace text, dry_run boolean
WITH
-- Its lock goes with the statement: no other process is at the partition, and none that died keeps it. What a crash
-- takes back is swept again, so that the commit waits for no disk.
claimed AS MATERIALIZED (
  SELECT s.partition, set_config('synchronous_commit', 'off', true)
  FROM onceward.partition_sweep s
  JOIN :in i ON s.partition = i.partition AND (i.pass_from IS NULL OR s.pass_page = i.pass_from)
  FOR UPDATE OF s SKIP LOCKED
),
passed AS (
  UPDATE onceward.partition_sweep s
  SET
    pass_page = i.pass_to,
    pass_start_time = CASE WHEN i.pass_to = 0 THEN now() ELSE s.pass_start_time END
  FROM :in i
  WHERE s.partition = i.partition AND s.pass_page = i.pass_from AND EXISTS (SELECT FROM claimed)
),
found AS MATERIALIZED (
  SELECT
    p.page, r.*,
    NOT i.dry_run AND (i.namespace IS NULL OR r.namespace = i.namespace) AS sweep
  FROM claimed
  CROSS JOIN :in i
  CROSS JOIN unnest(i.pages) p (page)
  -- OFFSET 0 keeps it a scan of this page alone.
  CROSS JOIN LATERAL (
    SELECT
      r.ctid AS tid, r.namespace, r.record_expire_time,
      r.record_expire_time <= now() AS expired,
      r.record_expire_time > now() AND r.result_expire_time <= now() AND r.result_envelope IS NOT NULL AS strippable,
      -- Of TOAST only the size is read. The fixed columns and the header are about 150 bytes.
      150 + octet_length(r.namespace) + octet_length(r.scope) + octet_length(r.key) + octet_length(r.operation)
        + coalesce(pg_column_size(r.result_payload), 0) + coalesce(pg_column_size(r.result_envelope), 0)
        + coalesce(pg_column_size(r.checkpoint), 0) + coalesce(pg_column_size(r.labels), 0) AS bytes
    FROM :partition r
    WHERE r.ctid >= format('(%s,0)', p.page)::tid AND r.ctid < format('(%s,0)', p.page + 1)::tid
    OFFSET 0
  ) r
),
-- Nobody is waited for: who holds a row's lock changes it, and a batch of claims may hold others that we hold.
expired AS MATERIALIZED (
  SELECT r.ctid AS tid
  FROM :partition r
  WHERE r.ctid = ANY (ARRAY(SELECT f.tid FROM found f WHERE f.expired AND f.sweep)) AND r.record_expire_time <= now()
  FOR UPDATE SKIP LOCKED
),
removed AS (
  DELETE FROM :partition r
  WHERE r.ctid = ANY (ARRAY(SELECT e.tid FROM expired e)) AND r.record_expire_time <= now()
  RETURNING r.namespace
),
strippable AS MATERIALIZED (
  SELECT r.ctid AS tid
  FROM :partition r
  WHERE r.ctid = ANY (ARRAY(SELECT f.tid FROM found f WHERE f.strippable AND f.sweep)) AND r.result_expire_time <= now()
  FOR UPDATE SKIP LOCKED
),
stripped AS (
  UPDATE :partition r
  SET result_envelope = NULL, result_payload = NULL
  WHERE r.ctid = ANY (ARRAY(SELECT s.tid FROM strippable s)) AND r.result_expire_time <= now()
  RETURNING r.namespace
)
SELECT
  'found' AS kind, page, namespace, count(*) FILTER (WHERE NOT expired) AS live, count(*) FILTER (WHERE expired) AS expired,
  count(*) FILTER (WHERE strippable) AS strippable,
  coalesce(sum(bytes) FILTER (WHERE NOT expired), 0) AS live_bytes,
  coalesce(sum(bytes) FILTER (WHERE expired), 0) AS expired_bytes,
  coalesce(extract(epoch FROM max(now() - record_expire_time) FILTER (WHERE expired)) * 1000, 0)::float8 AS oldest_expired_ms,
  now() AS now_time
FROM found GROUP BY page, namespace
UNION ALL
SELECT 'removed', NULL, namespace, count(*), 0, 0, 0, 0, 0, now() FROM removed GROUP BY namespace
UNION ALL
SELECT 'stripped', NULL, namespace, count(*), 0, 0, 0, 0, 0, now() FROM stripped GROUP BY namespace
UNION ALL
SELECT 'claimed', NULL, partition, 0, 0, 0, 0, 0, 0, now() FROM claimed

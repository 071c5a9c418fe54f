-- The partitions with their sizes, and what the sampler knows of them.
SELECT
  s.partition, s.pass_start_time, s.pass_page, s.sample, now() AS now_time,
  pg_relation_size(c.oid) / current_setting('block_size')::bigint AS page_count, pg_total_relation_size(c.oid) AS total_bytes
FROM onceward.partition_sweep s
JOIN pg_class c ON c.relname = s.partition AND c.relnamespace = 'onceward'::regnamespace
ORDER BY s.partition

-- Keeps what random pages of partitions showed. Locked in one order: ticks may overlap.
-- in: partition text, sample jsonb
WITH locked AS MATERIALIZED (
  SELECT s.partition FROM onceward.partition_sweep s
  WHERE s.partition IN (SELECT i.partition FROM :in i)
  ORDER BY s.partition
  FOR NO KEY UPDATE
)
UPDATE onceward.partition_sweep s SET sample = i.sample
FROM :in i JOIN locked l ON l.partition = i.partition
WHERE s.partition = l.partition
RETURNING s.partition

-- Keeps what random pages of partitions showed.
-- in: partition text, sample jsonb
UPDATE onceward.partition_sweep s SET sample = i.sample FROM :in i WHERE s.partition = i.partition
RETURNING s.partition

-- What the sampler of expired records remembers, for all coordinators.

-- When the last tick began.
CREATE TABLE onceward.sampler (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  tick_time timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO onceward.sampler DEFAULT VALUES;

-- One row for each partition of onceward.record; its lock is held by who sweeps there.
CREATE TABLE onceward.partition_sweep (
  partition text COLLATE "C" PRIMARY KEY,
  -- The pass, which visits page after page: when it began, and the page it is at.
  pass_start_time timestamptz NOT NULL DEFAULT now(),
  pass_page bigint NOT NULL DEFAULT 0 CHECK (pass_page >= 0),
  -- What random pages showed in the last tick.
  sample jsonb
) WITH (fillfactor = 50);
INSERT INTO onceward.partition_sweep (partition)
SELECT c.relname FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid WHERE p.inhparent = 'onceward.record'::regclass;

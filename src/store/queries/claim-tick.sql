-- Takes the sampler's tick, when the last one is long enough ago.
-- in: spacing_ms float8
UPDATE onceward.sampler s SET tick_time = now()
FROM :in i
WHERE s.tick_time <= now() - i.spacing_ms * interval '1 millisecond'
RETURNING s.tick_time

-- How far the replica that is furthest behind is; null without one, and for a role that may not see it.
SELECT (extract(epoch FROM max(replay_lag)) * 1000)::float8 AS lag_ms FROM pg_stat_replication

-- The key store. {{partition_count}} is chosen once, at this migration.

CREATE TABLE onceward.store_instance (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  partition_count integer NOT NULL,
  -- Grows with every operator action, in commit order: the row's lock makes them queue.
  revision bigint NOT NULL DEFAULT 0
);
INSERT INTO onceward.store_instance (partition_count) VALUES ({{partition_count}});

-- CACHE 1: a session that drew ahead would hand out an old number later.
CREATE SEQUENCE onceward.fencing_token AS bigint CACHE 1;

-- So many milliseconds from now; written so that Postgres puts it into the statement instead of calling it.
CREATE FUNCTION onceward.after(duration_ms double precision) RETURNS timestamptz LANGUAGE sql STABLE
  RETURN CASE WHEN duration_ms = 'Infinity' THEN 'infinity' ELSE now() + duration_ms * interval '1 millisecond' END;

CREATE TYPE onceward.record_state AS ENUM ('IN_PROGRESS', 'COMPLETED', 'FAILED', 'RELEASED', 'INDETERMINATE');
CREATE TYPE onceward.on_lapse AS ENUM ('RERUN', 'PARK');

-- Durations are milliseconds, 'Infinity' for ever.
CREATE TABLE onceward.namespace (
  name text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  on_lapse onceward.on_lapse NOT NULL,
  default_lease_ms double precision NOT NULL CHECK (default_lease_ms > 0 AND default_lease_ms <= max_lease_ms),
  max_lease_ms double precision NOT NULL,
  max_attempts integer CHECK (max_attempts > 0),
  result_retention_ms double precision NOT NULL CHECK (result_retention_ms > 0),
  max_result_retention_ms double precision NOT NULL CHECK (max_result_retention_ms >= result_retention_ms),
  tombstone_retention_ms double precision NOT NULL CHECK (tombstone_retention_ms >= 0),
  abandoned_retention_ms double precision NOT NULL CHECK (abandoned_retention_ms >= 0),
  max_result_bytes integer NOT NULL CHECK (max_result_bytes >= 0),
  refuse_old_keys boolean NOT NULL,
  mint_secret bytea NOT NULL CHECK (octet_length(mint_secret) = 32),
  create_time timestamptz NOT NULL DEFAULT now(),
  update_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE onceward.record (
  namespace text COLLATE "C" NOT NULL REFERENCES onceward.namespace (name),
  scope text COLLATE "C" NOT NULL CHECK (length(scope) <= 255),
  key text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  state onceward.record_state NOT NULL,
  on_lapse onceward.on_lapse NOT NULL,
  -- Somebody in another process waits for the end of this attempt.
  watched boolean NOT NULL DEFAULT false,
  -- This attempt was granted because an earlier one's lease lapsed.
  takeover boolean NOT NULL DEFAULT false,
  attempt integer NOT NULL CHECK (attempt >= 1),
  attempts_forgiven integer NOT NULL DEFAULT 0 CHECK (attempts_forgiven BETWEEN 0 AND attempt),
  fencing_token bigint NOT NULL CHECK (fencing_token > 0),
  create_time timestamptz NOT NULL,
  lease_expire_time timestamptz,
  finish_time timestamptz,
  -- From here on the result is not replayed.
  result_expire_time timestamptz,
  -- From here on the record counts as absent, and may be removed.
  record_expire_time timestamptz NOT NULL,
  operation text COLLATE "C" NOT NULL CHECK (length(operation) BETWEEN 1 AND 255),
  fingerprint_version integer,
  fingerprint_digest bytea CHECK (octet_length(fingerprint_digest) BETWEEN 1 AND 64),
  attempt_id text COLLATE "C" CHECK (length(attempt_id) BETWEEN 1 AND 64),
  result_retention_ms double precision,
  checkpoint bytea CHECK (octet_length(checkpoint) <= 65536),
  checkpoint_sequence bigint NOT NULL DEFAULT 0,
  result_code smallint,
  result_digest bytea,
  result_envelope bytea,
  result_payload bytea,
  result_payload_omitted boolean NOT NULL DEFAULT false,
  last_error_status bytea,
  last_error_time timestamptz,
  last_error_retry_after_ms double precision,
  parent_namespace text COLLATE "C",
  parent_scope text COLLATE "C",
  parent_key text COLLATE "C",
  labels jsonb,
  traceparent text,
  PRIMARY KEY (namespace, scope, key),
  CONSTRAINT leased_only_in_progress CHECK ((state = 'IN_PROGRESS') = (lease_expire_time IS NOT NULL)),
  CONSTRAINT attempt_id_until_finished CHECK ((state IN ('IN_PROGRESS', 'RELEASED')) = (attempt_id IS NOT NULL)),
  CONSTRAINT finished_with_result CHECK (
    CASE
      WHEN state IN ('COMPLETED', 'FAILED') THEN
        -- A comparison with NULL passes a CHECK: what must be there is said to be.
        finish_time IS NOT NULL AND result_digest IS NOT NULL
        AND result_expire_time IS NOT NULL AND result_expire_time <= record_expire_time
        AND result_code IS NOT NULL AND (state = 'COMPLETED') = (result_code = 0)
        AND (result_payload IS NULL OR (result_envelope IS NOT NULL AND NOT result_payload_omitted))
      ELSE
        finish_time IS NULL AND result_digest IS NULL AND result_expire_time IS NULL AND result_code IS NULL
        AND result_payload IS NULL AND result_envelope IS NULL AND NOT result_payload_omitted
    END
  ),
  CONSTRAINT lease_never_outlives_record CHECK (lease_expire_time <= record_expire_time),
  CONSTRAINT indeterminate_is_kept CHECK (state <> 'INDETERMINATE' OR record_expire_time = 'infinity'),
  CONSTRAINT fingerprint_is_whole CHECK ((fingerprint_version IS NULL) = (fingerprint_digest IS NULL)),
  CONSTRAINT parent_is_whole CHECK (num_nulls(parent_namespace, parent_scope, parent_key) IN (0, 3))
) PARTITION BY HASH (key);

DO $$
BEGIN
  FOR i IN 0 .. {{partition_count}} - 1 LOOP
    EXECUTE format(
      'CREATE TABLE onceward.record_%s PARTITION OF onceward.record FOR VALUES WITH (MODULUS {{partition_count}}, REMAINDER %s)',
      lpad(i::text, 4, '0'), i
    );
  END LOOP;
END
$$;

-- For lineage; a parent never changes, and roots are not in it.
CREATE INDEX record_parent ON onceward.record (parent_namespace, parent_scope, parent_key, create_time)
  WHERE parent_key IS NOT NULL;

CREATE TABLE onceward.audit (
  revision bigint PRIMARY KEY,
  time timestamptz NOT NULL DEFAULT now(),
  principal text NOT NULL,
  action text NOT NULL CHECK (action IN ('put-namespace', 'resolve', 'forget')),
  namespace text COLLATE "C" NOT NULL,
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  reason text NOT NULL,
  detail jsonb NOT NULL
);

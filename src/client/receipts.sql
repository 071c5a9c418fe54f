-- Receipts: what was done, in the same transaction as the doing. Run it once in the service's own database.
CREATE TABLE IF NOT EXISTS onceward_receipt (
  namespace text NOT NULL,
  scope text NOT NULL,
  key text NOT NULL,
  -- Of the execution that did it; 0 when it ran unguarded.
  fencing_token bigint NOT NULL,
  -- What the function returned, encoded; null only until the function has returned.
  result bytea,
  create_time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace, scope, key)
);

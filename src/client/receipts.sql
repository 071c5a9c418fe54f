-- Receipts: what was done, in the same transaction as the doing. Run it in the service's own database, also again.
CREATE TABLE IF NOT EXISTS onceward_receipt (
  namespace text NOT NULL,
  scope text NOT NULL,
  key text NOT NULL,
  -- Of the execution that did it; 0 when it ran unguarded.
  fencing_token bigint NOT NULL,
  -- What the function returned, encoded; null only inside of its transaction, until the function has returned.
  result bytea,
  create_time timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (namespace, scope, key)
);

-- No CHECK can wait for the commit. Without a transaction the commit follows at once, before the function has run.
CREATE OR REPLACE FUNCTION onceward_receipt_finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM onceward_receipt r
    WHERE r.namespace = NEW.namespace AND r.scope = NEW.scope AND r.key = NEW.key AND r.result IS NULL
  ) THEN
    RAISE EXCEPTION 'a receipt is committed only after its function has returned, in one transaction'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END
$$;

DROP TRIGGER IF EXISTS onceward_receipt_finished ON onceward_receipt;
CREATE CONSTRAINT TRIGGER onceward_receipt_finished AFTER INSERT ON onceward_receipt
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION onceward_receipt_finished();

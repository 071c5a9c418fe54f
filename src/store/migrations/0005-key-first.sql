-- What a claim and a finish look up, cheaper. On a store that holds records this builds the primary key anew while everybody
-- waits: some seconds for each million of them.

-- The key tells records apart, so it comes first: a look into the index compares one column, at a place that is known, where it
-- compared three. And keys that grow with time are added at the end of the index.
ALTER TABLE onceward.record DROP CONSTRAINT record_pkey;
ALTER TABLE onceward.record ADD CONSTRAINT record_pkey PRIMARY KEY (key, scope, namespace);

-- A foreign key makes every claim lock its namespace's row, which all claims share: two at once need a lock of many holders,
-- written down for each. A coordinator claims in namespaces that it has read, so it is enough that none of them goes.
ALTER TABLE onceward.record DROP CONSTRAINT record_namespace_fkey;

CREATE FUNCTION onceward.keep_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE restrict_violation USING
    MESSAGE = 'a namespace is never removed or renamed', SCHEMA = 'onceward', TABLE = 'namespace', CONSTRAINT = 'namespace_is_kept';
END
$$;
CREATE TRIGGER namespace_is_kept BEFORE DELETE OR UPDATE OF name OR TRUNCATE ON onceward.namespace
  FOR EACH STATEMENT EXECUTE FUNCTION onceward.keep_namespace();

-- A database and two roles, made once by a superuser: psql -f deploy/roles.sql. Give both a password (\password), and let pg_hba.conf ask
-- for it. The owner runs `onceward migrate up`; the coordinators' can't change the schema, nor set tokens back.
CREATE ROLE onceward_owner LOGIN;
CREATE ROLE onceward_coordinator LOGIN;
CREATE DATABASE onceward OWNER onceward_owner;
REVOKE ALL ON DATABASE onceward FROM PUBLIC;
GRANT CONNECT ON DATABASE onceward TO onceward_coordinator;
-- How far replicas are behind: the sampler gives way to them.
GRANT pg_read_all_stats TO onceward_coordinator;

\connect onceward
-- For what the owner will make here, now and in later versions.
ALTER DEFAULT PRIVILEGES FOR ROLE onceward_owner GRANT USAGE ON SCHEMAS TO onceward_coordinator;
ALTER DEFAULT PRIVILEGES FOR ROLE onceward_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO onceward_coordinator;
ALTER DEFAULT PRIVILEGES FOR ROLE onceward_owner GRANT USAGE, SELECT ON SEQUENCES TO onceward_coordinator;

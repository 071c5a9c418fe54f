-- One notification; sent only for what somebody waits on, since NOTIFY takes a global lock at commit.
-- in: channel text, payload text
SELECT pg_notify(i.channel, i.payload) FROM :in i

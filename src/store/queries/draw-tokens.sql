-- Draws fencing tokens apart from the UPDATE that stores them, where a distributed Postgres refuses nextval().
-- in: count integer
SELECT nextval('onceward.fencing_token') AS fencing_token FROM :in i, generate_series(1, i.count)

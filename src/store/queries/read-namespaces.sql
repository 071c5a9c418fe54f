-- Reads one namespace, or all of them by name.
-- in: name text
SELECT n.* FROM :in i JOIN onceward.namespace n ON i.name IS NULL OR n.name = i.name ORDER BY n.name

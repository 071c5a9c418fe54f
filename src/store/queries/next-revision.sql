-- Takes the next revision; its row lock, held to the commit, makes revisions visible in their order.
UPDATE onceward.store_instance SET revision = revision + 1 RETURNING revision

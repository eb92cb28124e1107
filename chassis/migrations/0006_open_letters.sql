-- no-transaction
-- A town's open letters in the order in which they are shown.
CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_open ON dead_letters (municipality, written_at, id) WHERE closed_at IS NULL;

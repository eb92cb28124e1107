-- no-transaction
-- A rebuild asks of each of its events whether the service has set it aside.
CREATE INDEX CONCURRENTLY IF NOT EXISTS dead_letters_event ON dead_letters (consumer, event_id);

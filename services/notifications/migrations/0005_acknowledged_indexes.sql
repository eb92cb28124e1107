-- no-transaction
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_to_mend
ON deliveries (municipality, person_id, created_at, delivery_id) WHERE state = 'failed' AND acknowledged_at IS NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_waiting_for
ON deliveries (municipality, person_id) WHERE state = 'waiting';

-- no-transaction
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_settled ON deliveries (municipality, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS deliveries_waiting ON deliveries (municipality) WHERE state = 'waiting';

-- What was late, and what may have been sent twice, as facts of the row.
ALTER TABLE deliveries ADD COLUMN begun_at timestamptz;
ALTER TABLE deliveries ADD COLUMN repeated_at timestamptz;

COMMENT ON COLUMN deliveries.begun_at IS 'machine time: an attempt began whose outcome is not on record';
COMMENT ON COLUMN deliveries.repeated_at IS 'machine time: sent again because the outcome of the attempt before is not on record';

-- The relay reads the last position drawn in the statement that saves its place, which is the barrier as well: that
-- spares a round trip for each page. Reading a sequence tells no town's data.
DO $$
BEGIN
    EXECUTE format('GRANT SELECT ON SEQUENCE event_log_position_seq TO %I', service_role('worker'));
END $$;

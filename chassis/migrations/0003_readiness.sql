-- Readiness compares what ran with what this version wants; nothing in the ledger is secret.
DO $$
BEGIN
    EXECUTE format('GRANT SELECT ON schema_migrations TO %I, %I', service_role('api'), service_role('worker'));
END $$;

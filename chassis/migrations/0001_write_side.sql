-- The write side of every service: event log, timers, idempotency, the town's clock, and the rule for tenant tables.
-- Runs as the service's <name>_owner role; <name>_api and <name>_worker exist already.

CREATE FUNCTION service_role(suffix text) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT regexp_replace(current_user::text, '_owner$', '_' || suffix) $$;

-- One place states how a tenant's rows are walled off: forced row-level security, the api role sees and writes the
-- municipality set in its transaction, the worker role that one too or, set to '*', all of them (batches).
CREATE FUNCTION tenant_table(relation regclass, api_may text DEFAULT 'SELECT, INSERT, UPDATE, DELETE') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    own constant text := 'municipality = (SELECT current_setting(''taiwa.municipality'', true))';
    every constant text := '(SELECT current_setting(''taiwa.municipality'', true)) = ''*''';
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY api ON %s TO %I USING (%s) WITH CHECK (%s)', relation, service_role('api'), own, own);
    EXECUTE format('CREATE POLICY worker ON %s TO %I USING (%s OR %s) WITH CHECK (%s OR %s)',
                   relation, service_role('worker'), own, every, own, every);
    IF api_may <> '' THEN
        EXECUTE format('GRANT %s ON %s TO %I', api_may, relation, service_role('api'));
    END IF;
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', relation, service_role('worker'));
END $$;

-- xid stands before position on purpose: defaults are computed in column order, so a position is always drawn after
-- its transaction has an id. The relay's lower bound of a window rests on that (chassis/relay.py).
CREATE TABLE event_log (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position bigint GENERATED ALWAYS AS IDENTITY (CACHE 1),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id uuid NOT NULL,
    municipality text NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    aggregate text NOT NULL,
    version bigint NOT NULL,
    key_hash integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    causation_id uuid,
    correlation_id uuid NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    traceparent text,
    payload text
) PARTITION BY RANGE (recorded_at);

COMMENT ON COLUMN event_log.payload IS 'JSON text; null: a pointer to a state that the relay reads when it publishes';
COMMENT ON COLUMN event_log.key_hash IS 'murmur2 of municipality/aggregate, as every Kafka client computes it, 31 bits';

CREATE INDEX event_log_position ON event_log (position);
CREATE INDEX event_log_xid ON event_log (xid);
CREATE INDEX event_log_aggregate ON event_log (municipality, aggregate, version);

SELECT tenant_table('event_log', 'INSERT');

-- Months are made ahead by the timers role and at every start. SECURITY DEFINER: only the owner makes tables.
CREATE FUNCTION make_event_log_partitions(months_ahead integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first_day date;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('make_event_log_partitions', 0));
    FOR step IN 0..months_ahead LOOP
        first_day := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step))::date;
        IF to_regclass(format('event_log_%s', to_char(first_day, 'YYYY_MM'))) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF event_log FOR VALUES FROM (%L) TO (%L)',
                           'event_log_' || to_char(first_day, 'YYYY_MM'),
                           first_day::timestamp AT TIME ZONE 'UTC',
                           (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

SELECT make_event_log_partitions();

CREATE TABLE timers (
    municipality text NOT NULL,
    aggregate text NOT NULL,
    name text NOT NULL,
    due_at timestamptz NOT NULL,
    correlation_id uuid NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    failed_at timestamptz,
    PRIMARY KEY (municipality, aggregate, name)
);

COMMENT ON COLUMN timers.due_at IS 'civil time';
COMMENT ON COLUMN timers.retry_at IS 'machine time: not tried again before';

CREATE INDEX timers_due ON timers (due_at) WHERE failed_at IS NULL;

SELECT tenant_table('timers');

CREATE TABLE idempotency_keys (
    municipality text NOT NULL,
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    status integer NOT NULL,
    body text NOT NULL,
    facts text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (municipality, actor, route, key)
);

CREATE INDEX idempotency_keys_stored ON idempotency_keys (stored_at);

SELECT tenant_table('idempotency_keys');

CREATE TABLE civil_clock (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    civil_at timestamptz NOT NULL,
    machine_at timestamptz NOT NULL
);

COMMENT ON TABLE civil_clock IS 'the simulated time of the town, whole installation; empty in production';

DO $$
BEGIN
    EXECUTE format('GRANT SELECT ON civil_clock TO %I', service_role('api'));
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON civil_clock TO %I', service_role('worker'));
    EXECUTE format('REVOKE ALL ON FUNCTION make_event_log_partitions(integer) FROM PUBLIC');
    EXECUTE format('GRANT EXECUTE ON FUNCTION make_event_log_partitions(integer) TO %I', service_role('worker'));
END $$;

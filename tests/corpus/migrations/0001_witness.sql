-- One row per effect of a reaction, in the order they happened: what must be there exactly once.
CREATE TABLE effects (
    id bigint GENERATED ALWAYS AS IDENTITY,
    municipality text NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    aggregate text NOT NULL,
    version bigint NOT NULL,
    texts text[] NOT NULL,
    PRIMARY KEY (municipality, id)
);

SELECT tenant_table('effects');

CREATE TABLE states (
    municipality text NOT NULL,
    aggregate text NOT NULL,
    event_id uuid NOT NULL,
    state_version bigint NOT NULL,
    texts text[] NOT NULL,
    PRIMARY KEY (municipality, aggregate)
);

SELECT tenant_table('states');

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SEQUENCE effects_id_seq TO %I', service_role('worker'));
END $$;

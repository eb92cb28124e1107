CREATE TABLE copies (
    municipality text NOT NULL,
    thing_id text NOT NULL,
    size bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, thing_id)
);

SELECT tenant_table('copies');

CREATE TABLE owner_copies (
    municipality text NOT NULL,
    owner_id text NOT NULL,
    name text,
    state_version bigint NOT NULL,
    PRIMARY KEY (municipality, owner_id)
);

SELECT tenant_table('owner_copies');

-- One row per effect of a reaction, in the order they happened: what must be there exactly once.
CREATE TABLE effects (
    id bigint GENERATED ALWAYS AS IDENTITY,
    municipality text NOT NULL,
    thing_id text NOT NULL,
    version bigint NOT NULL,
    seen_municipality text NOT NULL
);

SELECT tenant_table('effects');

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SEQUENCE effects_id_seq TO %I', service_role('worker'));
END $$;

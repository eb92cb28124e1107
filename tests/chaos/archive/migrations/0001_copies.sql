CREATE TABLE copies (
    municipality text NOT NULL,
    paper_id text NOT NULL,
    total bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, paper_id)
);

SELECT tenant_table('copies');

-- One row per effect of a reaction, in the order they happened. Nothing here forbids a second one.
CREATE TABLE effects (
    id bigint GENERATED ALWAYS AS IDENTITY,
    municipality text NOT NULL,
    aggregate text NOT NULL,
    version bigint NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    generation integer NOT NULL,
    event_id uuid NOT NULL
);

SELECT tenant_table('effects');

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SEQUENCE effects_id_seq TO %I', service_role('worker'));
END $$;

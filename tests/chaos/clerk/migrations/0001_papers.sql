CREATE TABLE papers (
    municipality text NOT NULL,
    paper_id text NOT NULL,
    total bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, paper_id)
);

SELECT tenant_table('papers');

-- What each command did. A mark that stands twice was made twice: nothing here forbids it.
CREATE TABLE marks (
    municipality text NOT NULL,
    paper_id text NOT NULL,
    version bigint NOT NULL,
    mark text NOT NULL,
    PRIMARY KEY (municipality, paper_id, version)
);

SELECT tenant_table('marks');

CREATE TABLE reminders (
    id bigint GENERATED ALWAYS AS IDENTITY,
    municipality text NOT NULL,
    mark text NOT NULL
);

SELECT tenant_table('reminders');

CREATE TABLE filings (
    id bigint GENERATED ALWAYS AS IDENTITY,
    municipality text NOT NULL,
    aggregate text NOT NULL,
    version bigint NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    generation integer NOT NULL,
    event_id uuid NOT NULL
);

SELECT tenant_table('filings');

DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SEQUENCE reminders_id_seq, filings_id_seq TO %I', service_role('worker'));
END $$;

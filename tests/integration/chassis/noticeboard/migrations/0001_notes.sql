CREATE TABLE notes (
    municipality text NOT NULL,
    note_id uuid NOT NULL,
    version bigint NOT NULL,
    title text NOT NULL,
    posted_at timestamptz NOT NULL,
    shelf integer NOT NULL,
    PRIMARY KEY (municipality, note_id)
);

SELECT tenant_table('notes');

CREATE TABLE archived_notes (
    municipality text NOT NULL,
    note_id uuid NOT NULL,
    title text NOT NULL,
    PRIMARY KEY (municipality, note_id)
);

SELECT tenant_table('archived_notes', 'SELECT');

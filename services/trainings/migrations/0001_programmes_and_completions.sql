-- What this service owns: programmes and who completed them.

CREATE TABLE programmes (
    municipality text NOT NULL,
    programme_id uuid NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    offered_by uuid NOT NULL,
    offered_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, programme_id)
);

SELECT tenant_table('programmes', 'SELECT, INSERT');

CREATE TABLE completions (
    municipality text NOT NULL,
    completion_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    person_id uuid NOT NULL,
    completed_on date NOT NULL,
    source text NOT NULL CHECK (source IN ('attendance', 'external', 'report')),
    recorded_by uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    revoked_by uuid,
    revoked_at timestamptz,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, completion_id),
    FOREIGN KEY (municipality, programme_id) REFERENCES programmes
);

-- A person completes a programme once a day; what was revoked may be recorded anew.
CREATE UNIQUE INDEX completions_once ON completions (municipality, programme_id, person_id, completed_on)
WHERE revoked_at IS NULL;
CREATE INDEX completions_person ON completions (municipality, person_id);

SELECT tenant_table('completions', 'SELECT, INSERT, UPDATE');

-- Programmes, completions, and the copies of foreign facts that the screens need.

CREATE TABLE programmes (
    municipality text NOT NULL,
    programme_id uuid NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    added_at timestamptz NOT NULL,
    added_by_person_id text NOT NULL,
    PRIMARY KEY (municipality, programme_id)
);

COMMENT ON COLUMN programmes.added_at IS 'civil time';

CREATE UNIQUE INDEX programmes_title ON programmes (municipality, title);

SELECT tenant_table('programmes');

CREATE TABLE completions (
    municipality text NOT NULL,
    completion_id uuid NOT NULL,
    programme_id uuid NOT NULL,
    person_id uuid NOT NULL,
    completed_on date NOT NULL,
    source text NOT NULL CHECK (source IN ('attendance', 'external', 'report')),
    recorded_at timestamptz NOT NULL,
    recorded_by_person_id text NOT NULL,
    revoked_at timestamptz,
    revoked_by_person_id text,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, completion_id),
    FOREIGN KEY (municipality, programme_id) REFERENCES programmes (municipality, programme_id)
);

COMMENT ON COLUMN completions.revoked_at IS 'civil time; null: it holds';

-- The same person completes the same programme once a day; a revoked completion does not count.
CREATE UNIQUE INDEX completions_once ON completions (municipality, programme_id, person_id, completed_on)
WHERE revoked_at IS NULL;

CREATE INDEX completions_newest ON completions (municipality, completed_on DESC, completion_id DESC);
CREATE INDEX completions_of_person ON completions (municipality, person_id, completed_on DESC);

SELECT tenant_table('completions');

CREATE TABLE people (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    state_version bigint NOT NULL,
    name text,
    has_left boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, person_id)
);

COMMENT ON COLUMN people.name IS 'null: erased';

SELECT tenant_table('people', 'SELECT');

CREATE TABLE leader_terms (
    municipality text NOT NULL,
    appointment_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    withdrawn boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, appointment_id)
);

COMMENT ON COLUMN leader_terms.until_on IS 'inclusive; null: serves on until a successor is chosen';

CREATE INDEX leader_terms_of_person ON leader_terms (municipality, person_id);

SELECT tenant_table('leader_terms', 'SELECT');

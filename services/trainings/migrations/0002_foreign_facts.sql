-- Copies of foreign facts, as dated periods.

CREATE TABLE people (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    name text NOT NULL,
    kana text NOT NULL,
    state_version bigint NOT NULL,
    PRIMARY KEY (municipality, person_id)
);

COMMENT ON TABLE people IS 'names, from the state topic directory.people; an erased person has no row';

SELECT tenant_table('people', 'SELECT');

CREATE TABLE section_names (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    from_on date NOT NULL,
    PRIMARY KEY (municipality, section_id, version)
);

COMMENT ON COLUMN section_names.from_on IS 'holds until the next name begins';

SELECT tenant_table('section_names', 'SELECT');

CREATE TABLE leader_terms (
    municipality text NOT NULL,
    appointment_id uuid NOT NULL,
    person_id uuid NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    withdrawn boolean NOT NULL,
    PRIMARY KEY (municipality, appointment_id)
);

COMMENT ON COLUMN leader_terms.until_on IS 'inclusive; null: serves on until a successor is appointed';

CREATE INDEX leader_terms_person ON leader_terms (municipality, person_id);

SELECT tenant_table('leader_terms', 'SELECT');

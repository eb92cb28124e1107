-- Copies of directory's facts, as dated periods: what held on any day can be asked, not only what holds now.
-- `version` is the version of the fact's aggregate; `until_on` (inclusive) follows from the next row's `from_on`.

CREATE TABLE sections (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    code text NOT NULL,
    kind text NOT NULL,
    appointing_authority text NOT NULL,
    display_order integer NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, section_id)
);

SELECT tenant_table('sections', 'SELECT');

CREATE TABLE section_names (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, section_id, version)
);

SELECT tenant_table('section_names', 'SELECT');

CREATE TABLE section_heads (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    version bigint NOT NULL,
    person_id uuid,
    post text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, section_id, version)
);

COMMENT ON COLUMN section_heads.person_id IS 'null: the post is vacant';

CREATE INDEX section_heads_person ON section_heads (municipality, person_id);

SELECT tenant_table('section_heads', 'SELECT');

CREATE TABLE memberships (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    version bigint NOT NULL,
    section_id uuid,
    concurrent_section_ids uuid[] NOT NULL,
    post text,
    from_on date NOT NULL,
    until_on date,
    transfer_id uuid,
    reverted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, person_id, version)
);

COMMENT ON TABLE memberships IS 'to which sections a person belongs: the main one and 兼務; no main one: has left';
COMMENT ON COLUMN memberships.reverted IS 'a transfer that was taken back: it never was';

CREATE INDEX memberships_section ON memberships (municipality, section_id);

SELECT tenant_table('memberships', 'SELECT');

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

CREATE TABLE absences (
    municipality text NOT NULL,
    absence_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    withdrawn boolean NOT NULL,
    PRIMARY KEY (municipality, absence_id)
);

CREATE INDEX absences_person ON absences (municipality, person_id);

SELECT tenant_table('absences', 'SELECT');

CREATE TABLE rules (
    municipality text NOT NULL,
    rule text NOT NULL,
    version bigint NOT NULL,
    value text NOT NULL,
    article text,
    article_text text,
    fictional boolean NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, rule, version)
);

COMMENT ON COLUMN rules.value IS 'JSON';

SELECT tenant_table('rules', 'SELECT');

CREATE TABLE calendars (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    closed_days date[] NOT NULL,
    closes_at text NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);

SELECT tenant_table('calendars', 'SELECT');

CREATE TABLE fiscal_years (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);

SELECT tenant_table('fiscal_years', 'SELECT');

-- The town, its sections and people as they are today, and as they were: what may change is kept as dated periods.

CREATE TABLE municipalities (
    municipality text PRIMARY KEY,
    version bigint NOT NULL,
    name text NOT NULL,
    kana text NOT NULL,
    fictional boolean NOT NULL DEFAULT false,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    people_imported_at timestamptz
);
SELECT tenant_table('municipalities');

CREATE TABLE fiscal_years (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);
SELECT tenant_table('fiscal_years');

CREATE TABLE calendars (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    version bigint NOT NULL,
    extra_closed_days date[] NOT NULL,
    closed_days date[] NOT NULL,
    opens_at text NOT NULL,
    closes_at text NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);
SELECT tenant_table('calendars');

CREATE TABLE rules (
    municipality text NOT NULL,
    rule text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, rule)
);
SELECT tenant_table('rules');

CREATE TABLE rule_values (
    municipality text NOT NULL,
    rule text NOT NULL,
    effective_from date NOT NULL,
    value text NOT NULL,
    article text,
    article_text text,
    fictional boolean NOT NULL,
    PRIMARY KEY (municipality, rule, effective_from),
    FOREIGN KEY (municipality, rule) REFERENCES rules (municipality, rule)
);
COMMENT ON COLUMN rule_values.value IS 'JSON: a boolean, an integer or a string';
SELECT tenant_table('rule_values');

CREATE TABLE sections (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    version bigint NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    appointing_authority text NOT NULL,
    display_order integer NOT NULL,
    head_person_id uuid,
    head_post text NOT NULL,
    awaited_head_number text,
    created_on date NOT NULL,
    closed_on date,
    PRIMARY KEY (municipality, section_id)
);
COMMENT ON COLUMN sections.head_person_id IS 'the head as last published; who heads on a day stands in section_heads';
COMMENT ON COLUMN sections.awaited_head_number IS 'named by an import before the people were known; resolved by theirs';
CREATE UNIQUE INDEX sections_code ON sections (municipality, code) WHERE closed_on IS NULL;
SELECT tenant_table('sections');

CREATE TABLE section_names (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (municipality, section_id, from_on),
    FOREIGN KEY (municipality, section_id) REFERENCES sections (municipality, section_id)
);
SELECT tenant_table('section_names');

CREATE TABLE people (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    version bigint NOT NULL,
    state_version bigint NOT NULL,
    name text NOT NULL,
    kana text NOT NULL,
    mail text,
    section_id uuid NOT NULL,
    post text NOT NULL,
    full_time boolean NOT NULL,
    employment_kind text NOT NULL,
    concurrent_section_ids uuid[] NOT NULL,
    posted_on date NOT NULL,
    joined_on date NOT NULL,
    left_on date,
    PRIMARY KEY (municipality, person_id),
    FOREIGN KEY (municipality, section_id) REFERENCES sections (municipality, section_id)
);
COMMENT ON COLUMN people.version IS 'of the facts about the person';
COMMENT ON COLUMN people.state_version IS 'of the state on directory.people';
COMMENT ON COLUMN people.left_on IS 'the day after the last one';
CREATE INDEX people_by_kana ON people (municipality, kana, person_id);
CREATE INDEX people_by_section ON people (municipality, section_id);
SELECT tenant_table('people');

CREATE TABLE section_heads (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    person_id uuid NOT NULL,
    post text NOT NULL,
    ended_by_transfer_id uuid,
    PRIMARY KEY (municipality, section_id, from_on),
    FOREIGN KEY (municipality, section_id) REFERENCES sections (municipality, section_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
CREATE INDEX section_heads_by_person ON section_heads (municipality, person_id);
SELECT tenant_table('section_heads');

CREATE TABLE staff_numbers (
    municipality text NOT NULL,
    number text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    person_id uuid NOT NULL,
    PRIMARY KEY (municipality, number, from_on),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
CREATE UNIQUE INDEX staff_numbers_held ON staff_numbers (municipality, number) WHERE until_on IS NULL;
CREATE INDEX staff_numbers_by_person ON staff_numbers (municipality, person_id);
SELECT tenant_table('staff_numbers');

CREATE TABLE mail_addresses (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    mail text,
    PRIMARY KEY (municipality, person_id, from_on),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
SELECT tenant_table('mail_addresses');

CREATE TABLE transfers (
    municipality text NOT NULL,
    transfer_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_section_id uuid NOT NULL,
    to_section_id uuid NOT NULL,
    post text NOT NULL,
    concurrent_section_ids uuid[] NOT NULL,
    effective_from date NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'effective', 'reverted', 'cancelled')),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, transfer_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
COMMENT ON COLUMN transfers.from_section_id IS 'while planned: the section when it was recorded';
CREATE INDEX transfers_by_person ON transfers (municipality, person_id);
CREATE INDEX transfers_by_day ON transfers (municipality, effective_from, transfer_id);
SELECT tenant_table('transfers');

CREATE TABLE postings (
    municipality text NOT NULL,
    posting_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    section_id uuid NOT NULL,
    post text NOT NULL,
    full_time boolean NOT NULL,
    employment_kind text NOT NULL,
    concurrent_section_ids uuid[] NOT NULL,
    transfer_id uuid,
    after_posting_id uuid,
    superseded_at timestamptz,
    PRIMARY KEY (municipality, posting_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
COMMENT ON COLUMN postings.after_posting_id IS 'the posting it took the place of; a reversal opens that one again';
COMMENT ON COLUMN postings.superseded_at IS 'was recorded wrongly and corrected then; it never held';
CREATE INDEX postings_by_person ON postings (municipality, person_id, from_on);
CREATE UNIQUE INDEX postings_open ON postings (municipality, person_id)
    WHERE until_on IS NULL AND superseded_at IS NULL;
SELECT tenant_table('postings');

CREATE TABLE absences (
    municipality text NOT NULL,
    absence_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    withdrawn_at timestamptz,
    PRIMARY KEY (municipality, absence_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
CREATE INDEX absences_by_person ON absences (municipality, person_id);
SELECT tenant_table('absences');

CREATE TABLE departures (
    municipality text NOT NULL,
    departure_id uuid NOT NULL,
    person_id uuid NOT NULL,
    effective_from date NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'effective', 'withdrawn')),
    PRIMARY KEY (municipality, departure_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
CREATE UNIQUE INDEX departures_planned ON departures (municipality, person_id) WHERE state = 'planned';
SELECT tenant_table('departures');

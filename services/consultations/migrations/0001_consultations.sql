-- Cases, their entries, and the copies of foreign facts that the screens need.

CREATE TABLE consultations (
    municipality text NOT NULL,
    consultation_id uuid NOT NULL,
    number text NOT NULL,
    title text NOT NULL,
    category text NOT NULL,
    desk text NOT NULL CHECK (desk IN ('hr', 'it_policy')),
    requester_person_id uuid NOT NULL,
    section_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'answered', 'waiting_requester', 'resolved')),
    assignee_person_id uuid,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    answer_due_at timestamptz,
    first_replied_at timestamptz,
    first_answered_at timestamptz,
    resolved_at timestamptz,
    resolved_by_person_id uuid,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, consultation_id),
    UNIQUE (municipality, number)
);

COMMENT ON COLUMN consultations.answer_due_at IS 'civil time; null: the clock stands';
COMMENT ON COLUMN consultations.version IS 'dense: each one is a published event; a note raises none';

CREATE INDEX consultations_newest ON consultations (municipality, opened_at DESC, consultation_id DESC);
CREATE INDEX consultations_of_requester ON consultations (municipality, requester_person_id, opened_at DESC);
CREATE INDEX consultations_unresolved ON consultations (municipality, desk, answer_due_at) WHERE state <> 'resolved';

SELECT tenant_table('consultations');

CREATE TABLE entries (
    municipality text NOT NULL,
    entry_id uuid NOT NULL,
    consultation_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opening', 'answer', 'question', 'reply', 'note')),
    author_person_id uuid NOT NULL,
    body text NOT NULL,
    written_at timestamptz NOT NULL,
    text_version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (municipality, entry_id),
    FOREIGN KEY (municipality, consultation_id) REFERENCES consultations (municipality, consultation_id)
);

COMMENT ON COLUMN entries.entry_id IS 'the opening has the id of its case';

CREATE INDEX entries_of_consultation ON entries (municipality, consultation_id, written_at, entry_id);

SELECT tenant_table('entries');

CREATE TABLE consultation_ordinals (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    last_ordinal integer NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);

SELECT tenant_table('consultation_ordinals');

CREATE TABLE categories (
    municipality text NOT NULL,
    code text NOT NULL,
    label text NOT NULL,
    desk text NOT NULL CHECK (desk IN ('hr', 'it_policy')),
    PRIMARY KEY (municipality, code)
);

COMMENT ON TABLE categories IS 'what a town changed or added; the rest is built in';

SELECT tenant_table('categories');

-- Foreign facts. Periods are inclusive at both ends; null: open.

CREATE TABLE people (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    state_version bigint NOT NULL,
    name text,
    kana text,
    post text,
    section_id uuid,
    has_left boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, person_id)
);

COMMENT ON COLUMN people.name IS 'null: erased';

SELECT tenant_table('people', 'SELECT');

CREATE TABLE sections (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    display_order integer NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, section_id)
);

SELECT tenant_table('sections', 'SELECT');

CREATE TABLE section_names (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (municipality, section_id, from_on)
);

SELECT tenant_table('section_names', 'SELECT');

CREATE TABLE section_heads (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    head_person_id uuid,
    head_post text NOT NULL,
    PRIMARY KEY (municipality, section_id, from_on)
);

COMMENT ON COLUMN section_heads.head_person_id IS 'null: vacant from that day';

SELECT tenant_table('section_heads', 'SELECT');

CREATE TABLE leader_terms (
    municipality text NOT NULL,
    appointment_id uuid NOT NULL,
    person_id uuid NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    withdrawn boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, appointment_id)
);

COMMENT ON COLUMN leader_terms.until_on IS 'null: serves on until a successor is chosen';

CREATE INDEX leader_terms_of_person ON leader_terms (municipality, person_id);
CREATE INDEX leader_terms_of_section ON leader_terms (municipality, section_id);

SELECT tenant_table('leader_terms', 'SELECT');

CREATE TABLE desk_members (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    desk text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, person_id, desk, from_on)
);

SELECT tenant_table('desk_members', 'SELECT');

CREATE TABLE calendars (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    closed_days date[] NOT NULL,
    closes_at text NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);

SELECT tenant_table('calendars', 'SELECT');

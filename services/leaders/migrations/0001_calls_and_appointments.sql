-- What this service owns: calls, nominations, appointments, coverage. `version` counts the facts an aggregate has
-- published; a change that publishes nothing leaves it, and is held by the row's lock.

CREATE TABLE calls (
    municipality text NOT NULL,
    fiscal_year integer NOT NULL,
    closes_on date NOT NULL,
    opened_by uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, fiscal_year)
);

SELECT tenant_table('calls', 'SELECT, INSERT');

CREATE TABLE section_calls (
    municipality text NOT NULL,
    section_call_id uuid NOT NULL,
    fiscal_year integer NOT NULL,
    section_id uuid NOT NULL,
    closes_on date NOT NULL,
    open_until date NOT NULL,
    state text NOT NULL CHECK (state IN ('asked', 'answered', 'decided', 'withdrawn')),
    answered_at timestamptz,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, section_call_id),
    UNIQUE (municipality, fiscal_year, section_id),
    FOREIGN KEY (municipality, fiscal_year) REFERENCES calls
);

COMMENT ON COLUMN section_calls.closes_on IS 'lateness counts from here; asking again who has not answered does not move it';
COMMENT ON COLUMN section_calls.open_until IS 'answers are taken until here; asking again moves it';

SELECT tenant_table('section_calls');

CREATE TABLE section_call_requests (
    municipality text NOT NULL,
    section_call_id uuid NOT NULL,
    version bigint NOT NULL,
    head_person_id uuid,
    requested_at timestamptz NOT NULL,
    reason text,
    PRIMARY KEY (municipality, section_call_id, version),
    FOREIGN KEY (municipality, section_call_id) REFERENCES section_calls
);

COMMENT ON COLUMN section_call_requests.reason IS 'why an answer was sent back; null: a plain request';

SELECT tenant_table('section_call_requests', 'SELECT, INSERT');

CREATE TABLE nominations (
    municipality text NOT NULL,
    nomination_id uuid NOT NULL,
    section_call_id uuid NOT NULL,
    person_id uuid NOT NULL,
    nominated_by uuid NOT NULL,
    nominated_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('standing', 'sent_back', 'decided')),
    PRIMARY KEY (municipality, nomination_id),
    FOREIGN KEY (municipality, section_call_id) REFERENCES section_calls
);

CREATE UNIQUE INDEX nominations_standing ON nominations (municipality, section_call_id, person_id)
WHERE state = 'standing';

SELECT tenant_table('nominations');

-- One row per appointment: its present reading. Every reading it ever had stays in appointment_records.
CREATE TABLE appointments (
    municipality text NOT NULL,
    appointment_id uuid NOT NULL,
    section_call_id uuid NOT NULL,
    section_id uuid NOT NULL,
    person_id uuid NOT NULL,
    fiscal_year integer NOT NULL,
    word text NOT NULL,
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    serves_on_from date,
    ended_from date,
    end_reason text CHECK (
        end_reason IN ('term', 'successor', 'transfer', 'left', 'resigned', 'section_closed', 'withdrawn')
    ),
    end_cause uuid,
    planned_end_from date,
    planned_end_reason text CHECK (
        planned_end_reason IN ('term', 'successor', 'transfer', 'left', 'resigned', 'section_closed', 'withdrawn')
    ),
    planned_end_cause uuid,
    withdrawn boolean NOT NULL,
    decided_on date,
    decided_by_post text,
    document_number text,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, appointment_id),
    FOREIGN KEY (municipality, section_call_id) REFERENCES section_calls,
    CHECK ((ended_from IS NULL) = (end_reason IS NULL)),
    CHECK ((planned_end_from IS NULL) = (planned_end_reason IS NULL))
);

COMMENT ON COLUMN appointments.entered_by IS 'person id of who typed the decision in, or the name of what made it';

CREATE INDEX appointments_section ON appointments (municipality, section_id);
CREATE INDEX appointments_person ON appointments (municipality, person_id);

SELECT tenant_table('appointments', 'SELECT, INSERT, UPDATE');

CREATE TABLE appointment_records (
    municipality text NOT NULL,
    appointment_id uuid NOT NULL,
    version bigint NOT NULL,
    what text NOT NULL CHECK (
        what IN ('appointed', 'corrected', 'extended', 'ended', 'deputy_named', 'deputy_ended')
    ),
    starts_on date NOT NULL,
    ends_on date,
    decided_on date,
    decided_by_post text,
    document_number text,
    withdrawn boolean NOT NULL,
    reason text,
    recorded_by text NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, appointment_id, version),
    FOREIGN KEY (municipality, appointment_id) REFERENCES appointments
);

COMMENT ON TABLE appointment_records IS 'every reading of an appointment, one row per version; never changed';

SELECT tenant_table('appointment_records', 'SELECT, INSERT');

CREATE TABLE deputies (
    municipality text NOT NULL,
    deputy_id uuid NOT NULL,
    appointment_id uuid NOT NULL,
    person_id uuid NOT NULL,
    from_on date NOT NULL,
    until_on date,
    ended_from date,
    PRIMARY KEY (municipality, deputy_id),
    FOREIGN KEY (municipality, appointment_id) REFERENCES appointments
);

-- One deputy per leader.
CREATE UNIQUE INDEX deputies_standing ON deputies (municipality, appointment_id) WHERE ended_from IS NULL;
CREATE INDEX deputies_person ON deputies (municipality, person_id) WHERE ended_from IS NULL;

SELECT tenant_table('deputies', 'SELECT, INSERT, UPDATE');

CREATE TABLE coverages (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    covered boolean NOT NULL,
    since_on date,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, section_id)
);

SELECT tenant_table('coverages', 'SELECT, INSERT, UPDATE');

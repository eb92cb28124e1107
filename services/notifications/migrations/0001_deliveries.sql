-- Notices on their way, and the copies of foreign facts that their texts and recipients need.

CREATE TABLE deliveries (
    municipality text NOT NULL,
    delivery_id uuid NOT NULL,
    cause_event_id uuid NOT NULL,
    person_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('in_app', 'mail')),
    template text NOT NULL,
    particulars jsonb NOT NULL,
    text_id uuid,
    target_kind text NOT NULL,
    target_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'handed_over', 'delivered', 'failed', 'cancelled')),
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    attempt_at timestamptz,
    lease uuid,
    leased_until timestamptz,
    correlation_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    read_at timestamptz,
    version bigint NOT NULL,
    PRIMARY KEY (municipality, delivery_id),
    UNIQUE (municipality, cause_event_id, person_id, channel)
);

COMMENT ON COLUMN deliveries.particulars IS 'ids, days and a title; names and texts are looked up when shown or sent';
COMMENT ON COLUMN deliveries.text_id IS 'the text that belongs into it and travels apart';
COMMENT ON COLUMN deliveries.attempt_at IS 'machine time of the next attempt; null: none is due';
COMMENT ON COLUMN deliveries.created_at IS 'civil time';
COMMENT ON COLUMN deliveries.stored_at IS 'machine time; giving up counts from here';
COMMENT ON COLUMN deliveries.version IS 'dense: facts published about this delivery';

CREATE INDEX deliveries_due ON deliveries (attempt_at) WHERE state = 'waiting';
CREATE INDEX deliveries_inbox ON deliveries (municipality, person_id, created_at DESC, delivery_id DESC)
WHERE channel = 'in_app';
CREATE INDEX deliveries_unread ON deliveries (municipality, person_id) WHERE channel = 'in_app' AND read_at IS NULL;
CREATE INDEX deliveries_newest ON deliveries (municipality, created_at DESC, delivery_id DESC);
CREATE INDEX deliveries_failed ON deliveries (municipality) WHERE state = 'failed';

SELECT tenant_table('deliveries');

-- Foreign facts. Periods are inclusive at both ends; null: open.

CREATE TABLE towns (
    municipality text NOT NULL PRIMARY KEY,
    name text NOT NULL,
    fictional boolean NOT NULL
);

SELECT tenant_table('towns', 'SELECT');

CREATE TABLE people (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    state_version bigint NOT NULL,
    name text,
    mail text,
    has_left boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (municipality, person_id)
);

SELECT tenant_table('people', 'SELECT');

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
    PRIMARY KEY (municipality, section_id, from_on)
);

COMMENT ON COLUMN section_heads.head_person_id IS 'null: vacant from that day';

SELECT tenant_table('section_heads', 'SELECT');

CREATE TABLE desk_members (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    desk text NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, person_id, desk, from_on)
);

SELECT tenant_table('desk_members', 'SELECT');

CREATE TABLE texts (
    municipality text NOT NULL,
    text_id uuid NOT NULL,
    state_version bigint NOT NULL,
    body text,
    PRIMARY KEY (municipality, text_id)
);

COMMENT ON COLUMN texts.body IS 'null: erased';

SELECT tenant_table('texts', 'SELECT');

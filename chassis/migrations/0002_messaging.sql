-- The messaging side of every service: the relay's place, the consumer's offsets and versions, dead letters, stops.

-- Where the relay stands: what is visible in prev was published; between cur's floor and last the window is half done.
CREATE TABLE relay_place (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    prev text NOT NULL,
    prev_floor bigint NOT NULL,
    prev_taken_at timestamptz NOT NULL,
    cur text,
    cur_floor bigint NOT NULL,
    cur_taken_at timestamptz NOT NULL,
    last bigint NOT NULL,
    system_identifier text NOT NULL,
    cluster_id text NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON COLUMN relay_place.prev IS 'pg_snapshot: every row of event_log visible in it was published';
COMMENT ON COLUMN relay_place.prev_floor IS 'rows of transactions not ended and not open in prev are above this position';

-- The last position that was drawn. If it is not the known one, this transaction takes an id afterwards. Once it has
-- ended, every new snapshot's xmax lies above that id, so a transaction at or above xmax got its id, and then drew its
-- positions, after this reading. (A snapshot's xmax alone does not tell: it follows the last id that *ended*; ids above
-- it may be in use already and have drawn positions.)
CREATE FUNCTION event_log_floor(known bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    floor bigint;
BEGIN
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO floor FROM event_log_position_seq;
    IF floor <> known THEN
        PERFORM pg_current_xact_id();
    END IF;
    RETURN floor;
END $$;

CREATE TABLE offsets (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next bigint NOT NULL,
    cluster_id text NOT NULL,
    generation integer NOT NULL,
    open_letters integer NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer, topic, partition)
);

COMMENT ON COLUMN offsets.open_letters IS 'open rows of dead_letters of this partition; changed only under this row''s lock';

CREATE TABLE versions (
    consumer text NOT NULL,
    municipality text NOT NULL,
    owner text NOT NULL,
    aggregate text NOT NULL,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (consumer, municipality, owner, aggregate)
);

SELECT tenant_table('versions', 'SELECT');

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    consumer text NOT NULL,
    source text NOT NULL CHECK (source IN ('record', 'timer')),
    kind text NOT NULL CHECK (kind IN ('dead', 'deferred', 'held')),
    municipality text,
    event_id uuid,
    type text,
    aggregate text,
    version bigint,
    topic text,
    cluster_id text,
    generation integer,
    partition integer,
    "offset" bigint,
    key bytea,
    headers jsonb,
    value bytea,
    holds boolean NOT NULL,
    code text NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retry_at timestamptz,
    closed_at timestamptz,
    outcome text CHECK (outcome IN ('applied', 'discarded'))
);

COMMENT ON TABLE dead_letters IS 'records and timers that could not be applied, and the records held behind them';
COMMENT ON COLUMN dead_letters.kind IS 'dead: needs an operator; deferred: tried again at retry_at; held: waits behind one of its key';
COMMENT ON COLUMN dead_letters.version IS 'of a fact that could be read so far; discarding it advances versions';
COMMENT ON COLUMN dead_letters.holds IS 'later records of this key wait; false where there is no key, or no type';
COMMENT ON COLUMN dead_letters.headers IS 'list of [name, base64 of the value or null]';

CREATE INDEX dead_letters_open_key ON dead_letters (consumer, topic, partition, key, "offset") WHERE closed_at IS NULL AND holds;
CREATE INDEX dead_letters_deferred ON dead_letters (consumer, retry_at) WHERE closed_at IS NULL AND kind = 'deferred';

SELECT tenant_table('dead_letters', '');

CREATE TABLE stops (
    consumer text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('stopped', 'paused', 'blocked')),
    topic text NOT NULL DEFAULT '',
    partition integer NOT NULL DEFAULT -1,
    reason text NOT NULL,
    command text NOT NULL,
    stopped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition)
);

COMMENT ON COLUMN stops.scope IS 'stopped: the whole consumer; paused: a partition; blocked: a partition, by a key over its limit';

DO $$
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON relay_place, offsets, stops TO %I', service_role('worker'));
    EXECUTE format('REVOKE ALL ON FUNCTION event_log_floor(bigint) FROM PUBLIC');
    EXECUTE format('GRANT EXECUTE ON FUNCTION event_log_floor(bigint) TO %I', service_role('worker'));
END $$;

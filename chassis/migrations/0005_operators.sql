-- What operators did, and which timers ran late: facts for whoever asks afterwards.

CREATE TABLE operator_acts (
    id uuid PRIMARY KEY,
    municipality text,
    act text NOT NULL CHECK (act IN ('seen', 'replayed', 'discarded', 'resumed', 'rebased', 'republished', 'rebuilt')),
    letter uuid,
    type text,
    aggregate text,
    topic text,
    partition integer,
    operator_kind text NOT NULL CHECK (operator_kind IN ('staff', 'operator')),
    operator text NOT NULL,
    reason text NOT NULL,
    acted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE operator_acts IS 'who saw, replayed or discarded a dead letter or resumed what stood still; never changed';
COMMENT ON COLUMN operator_acts.municipality IS 'null: of no town (its code could not be read, or it concerns all)';
COMMENT ON COLUMN operator_acts.operator_kind IS 'staff: a person of the town, by id; operator: who runs the installation';

CREATE INDEX operator_acts_newest ON operator_acts (municipality, acted_at DESC, id DESC);

SELECT tenant_table('operator_acts', '');

CREATE TABLE late_timers (
    municipality text NOT NULL,
    aggregate text NOT NULL,
    name text NOT NULL,
    due_at timestamptz NOT NULL,
    ran_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (municipality, aggregate, name, due_at)
);

COMMENT ON TABLE late_timers IS 'timers that ran more than a minute after they were due; kept for 90 days';
COMMENT ON COLUMN late_timers.due_at IS 'civil time, as ran_at';

CREATE INDEX late_timers_newest ON late_timers (municipality, recorded_at DESC);
CREATE INDEX late_timers_kept ON late_timers (recorded_at);

SELECT tenant_table('late_timers', '');

DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE ON operator_acts FROM %I', service_role('worker'));
END $$;

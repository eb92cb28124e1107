-- A failure that somebody has looked at needs nobody's hand any more; it stays on record.
ALTER TABLE deliveries ADD COLUMN acknowledged_at timestamptz;

COMMENT ON COLUMN deliveries.acknowledged_at IS 'machine time: looked at, or its address arrived; what failed needs no hand any more';

CREATE TABLE known_without_address (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    acknowledged_by uuid NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, person_id)
);

COMMENT ON TABLE known_without_address IS 'people who have no mail address, and that is in order; until an address arrives';

SELECT tenant_table('known_without_address');

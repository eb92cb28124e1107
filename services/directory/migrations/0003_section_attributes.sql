-- Kind, 任命権者 and order of a section as they were: a decision of April is read with what held in April.

CREATE TABLE section_attributes (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    from_on date NOT NULL,
    kind text NOT NULL,
    appointing_authority text NOT NULL,
    display_order integer NOT NULL,
    PRIMARY KEY (municipality, section_id, from_on),
    FOREIGN KEY (municipality, section_id) REFERENCES sections (municipality, section_id)
);

-- Migrations run as the owner, for whom a walled table is empty: the wall stands open to it for this one statement.
ALTER TABLE sections NO FORCE ROW LEVEL SECURITY;
INSERT INTO section_attributes (municipality, section_id, from_on, kind, appointing_authority, display_order)
SELECT municipality, section_id, created_on, kind, appointing_authority, display_order FROM sections;
ALTER TABLE sections FORCE ROW LEVEL SECURITY;

SELECT tenant_table('section_attributes');

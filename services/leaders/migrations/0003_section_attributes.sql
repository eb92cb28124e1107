-- Kind, 任命権者 and order of a section change too, so they are periods like its name.

CREATE TABLE section_attributes (
    municipality text NOT NULL,
    section_id uuid NOT NULL,
    version bigint NOT NULL,
    kind text NOT NULL,
    appointing_authority text NOT NULL,
    display_order integer NOT NULL,
    from_on date NOT NULL,
    until_on date,
    PRIMARY KEY (municipality, section_id, version)
);

-- A section's first fact is its creation, which said how it was founded.
-- Migrations run as the owner, for whom a walled table is empty: the wall stands open to it for this one statement.
ALTER TABLE sections NO FORCE ROW LEVEL SECURITY;
INSERT INTO section_attributes (municipality, section_id, version, kind, appointing_authority, display_order, from_on)
SELECT municipality, section_id, 1, kind, appointing_authority, display_order, from_on FROM sections;
ALTER TABLE sections FORCE ROW LEVEL SECURITY;

SELECT tenant_table('section_attributes', 'SELECT');

-- The services stand still while their databases are migrated: nobody reads the columns any more.
-- squawk-ignore ban-drop-column
ALTER TABLE sections DROP COLUMN kind, DROP COLUMN appointing_authority, DROP COLUMN display_order;

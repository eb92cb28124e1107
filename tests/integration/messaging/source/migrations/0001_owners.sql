CREATE TABLE owners (
    municipality text NOT NULL,
    owner_id text NOT NULL,
    name text NOT NULL,
    state_version bigint NOT NULL,
    PRIMARY KEY (municipality, owner_id)
);

SELECT tenant_table('owners');

-- Who may do what: granted roles, accounts, one-time links, sessions. All instants here are machine time.

CREATE TABLE role_grants (
    municipality text NOT NULL,
    person_id uuid NOT NULL,
    role text NOT NULL,
    version bigint NOT NULL,
    held boolean NOT NULL,
    changed_on date NOT NULL,
    PRIMARY KEY (municipality, person_id, role),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
SELECT tenant_table('role_grants');

-- Copied from leaders.events: who was whose leader when. Rebuildable.
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
COMMENT ON COLUMN leader_terms.until_on IS 'inclusive; null: serves on until a successor is chosen';
CREATE INDEX leader_terms_by_person ON leader_terms (municipality, person_id);
SELECT tenant_table('leader_terms', 'SELECT');

CREATE TABLE accounts (
    municipality text NOT NULL,
    account_id uuid NOT NULL,
    person_id uuid NOT NULL,
    login text NOT NULL,
    password_hash text,
    locked_at timestamptz,
    changed_by uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (municipality, account_id),
    UNIQUE (municipality, login),
    UNIQUE (municipality, person_id),
    FOREIGN KEY (municipality, person_id) REFERENCES people (municipality, person_id)
);
COMMENT ON COLUMN accounts.changed_by IS 'the administrator who made, locked or unlocked it last';
SELECT tenant_table('accounts');

CREATE TABLE one_time_links (
    municipality text NOT NULL,
    token_hash bytea NOT NULL,
    account_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, token_hash),
    FOREIGN KEY (municipality, account_id) REFERENCES accounts (municipality, account_id)
);
CREATE INDEX one_time_links_by_account ON one_time_links (municipality, account_id);
SELECT tenant_table('one_time_links');

-- Counted for logins that do not exist, too: an answer must not tell which ones do.
CREATE TABLE login_failures (
    municipality text NOT NULL,
    login text NOT NULL,
    failures integer NOT NULL,
    failed_at timestamptz NOT NULL,
    locked_until timestamptz,
    PRIMARY KEY (municipality, login)
);
CREATE INDEX login_failures_failed ON login_failures (municipality, failed_at);
SELECT tenant_table('login_failures');

CREATE TABLE refresh_tokens (
    municipality text NOT NULL,
    token_hash bytea NOT NULL,
    session_id uuid NOT NULL,
    account_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    rotated_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (municipality, token_hash),
    FOREIGN KEY (municipality, account_id) REFERENCES accounts (municipality, account_id)
);
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (municipality, session_id);
CREATE INDEX refresh_tokens_by_account ON refresh_tokens (municipality, account_id);
SELECT tenant_table('refresh_tokens');

-- Of the whole installation (municipality 000000). The worker has no business with private keys.
CREATE TABLE signing_keys (
    municipality text NOT NULL,
    key_id text NOT NULL,
    public_key text NOT NULL,
    private_key text,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz,
    PRIMARY KEY (municipality, key_id)
);
COMMENT ON COLUMN signing_keys.private_key IS 'JWK; null where the key is a secret of the operator';
COMMENT ON COLUMN signing_keys.retired_at IS 'from then on tokens signed by it are refused';
SELECT tenant_table('signing_keys', 'SELECT, INSERT, UPDATE');

-- Directory alone sets the simulated clock, from its API; everybody else copies it from CivilClockSet.
ALTER TABLE civil_clock ADD COLUMN version bigint NOT NULL DEFAULT 0;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON signing_keys FROM %I', service_role('worker'));
    EXECUTE format('GRANT INSERT, UPDATE ON civil_clock TO %I', service_role('api'));
END $$;

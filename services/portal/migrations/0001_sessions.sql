-- Who is logged in. Nothing here can be used without the visitor's cookie: the id is a hash of the cookie's secret, and
-- the sealed texts are encrypted with a key made from that secret, which is stored nowhere.

CREATE TABLE sessions (
    municipality text NOT NULL,
    session_hash bytea NOT NULL,
    sealed text NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    refreshing_until timestamptz,
    flash text,
    PRIMARY KEY (municipality, session_hash)
);

COMMENT ON COLUMN sessions.sealed IS 'encrypted: person, town, roles and tokens';
COMMENT ON COLUMN sessions.refreshing_until IS 'one request renews the tokens, the others go on with those they have';
COMMENT ON COLUMN sessions.flash IS 'encrypted: what the next page says about the action before it';

CREATE INDEX sessions_ends ON sessions (municipality, ends_at);

SELECT tenant_table('sessions');

-- A file between its preview and its import; gone after the import, or with the session.
CREATE TABLE uploads (
    municipality text NOT NULL,
    upload_id uuid NOT NULL,
    session_hash bytea NOT NULL,
    kind text NOT NULL,
    sealed text NOT NULL,
    uploaded_at timestamptz NOT NULL,
    PRIMARY KEY (municipality, upload_id),
    FOREIGN KEY (municipality, session_hash) REFERENCES sessions (municipality, session_hash) ON DELETE CASCADE
);

CREATE INDEX uploads_session ON uploads (municipality, session_hash);

SELECT tenant_table('uploads');

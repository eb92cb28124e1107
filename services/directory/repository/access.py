"""Roles, accounts, one-time links, failures, sessions and signing keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.transaction import Connection
from services.directory.domain.access import Account, Failures, Session

SET_ROLE = """
INSERT INTO role_grants AS kept (municipality, person_id, role, version, held, changed_on)
SELECT $1::text, $2::uuid, $3::text, 1, $4::boolean, $5::date WHERE $4 OR EXISTS
    (SELECT FROM role_grants WHERE municipality = $1 AND person_id = $2 AND role = $3)
ON CONFLICT (municipality, person_id, role) DO UPDATE
SET version = kept.version + 1, held = excluded.held, changed_on = excluded.changed_on
WHERE kept.held IS DISTINCT FROM excluded.held
RETURNING version
"""

SELECT_HELD_ROLES = "SELECT role FROM role_grants WHERE municipality = $1 AND person_id = $2 AND held"

COUNT_OTHER_ADMINISTRATORS = """
SELECT count(*) FROM role_grants AS granted
JOIN people AS person USING (municipality, person_id)
JOIN accounts AS account USING (municipality, person_id)
WHERE granted.municipality = $1 AND granted.role = 'admin' AND granted.held AND granted.person_id <> $2
  AND (person.left_on IS NULL OR person.left_on > $3) AND account.locked_at IS NULL
"""

INSERT_ACCOUNT = """
INSERT INTO accounts (municipality, account_id, person_id, login, changed_by) VALUES ($1, $2, $3, $4, $5)
"""

SELECT_TAKEN = """
SELECT person_id = $2 AS same_person FROM accounts WHERE municipality = $1 AND (person_id = $2 OR login = $3)
"""

SELECT_ACCOUNT = """
SELECT account_id, person_id, login, password_hash, locked_at IS NOT NULL AS locked FROM accounts
"""

LOCK_ACCOUNT = f"{SELECT_ACCOUNT} WHERE municipality = $1 AND account_id = $2 FOR UPDATE"
FIND_BY_LOGIN = f"{SELECT_ACCOUNT} WHERE municipality = $1 AND login = $2"
FIND_BY_PERSON = f"{SELECT_ACCOUNT} WHERE municipality = $1 AND person_id = $2"

LOCK_OUT = "UPDATE accounts SET locked_at = $3, changed_by = $4 WHERE municipality = $1 AND account_id = $2"
SET_HASH = "UPDATE accounts SET password_hash = $3 WHERE municipality = $1 AND account_id = $2"
REHASH = """
UPDATE accounts SET password_hash = $3 WHERE municipality = $1 AND account_id = $2 AND password_hash = $4
"""

REPLACE_LINK = "DELETE FROM one_time_links WHERE municipality = $1 AND account_id = $2"
INSERT_LINK = """
INSERT INTO one_time_links (municipality, token_hash, account_id, expires_at) VALUES ($1, $2, $3, $4)
"""
TAKE_LINK = """
DELETE FROM one_time_links WHERE municipality = $1 AND token_hash = $2 RETURNING account_id, expires_at
"""
FIND_LINK = """
SELECT account.account_id, account.person_id, account.login, account.password_hash,
       account.locked_at IS NOT NULL AS locked
FROM one_time_links AS link JOIN accounts AS account USING (municipality, account_id)
WHERE link.municipality = $1 AND link.token_hash = $2 AND link.expires_at > $3
"""

SELECT_FAILURES = """
SELECT failures, failed_at, locked_until FROM login_failures WHERE municipality = $1 AND login = $2
"""
UPSERT_FAILURES = """
INSERT INTO login_failures (municipality, login, failures, failed_at, locked_until) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (municipality, login) DO UPDATE
SET failures = excluded.failures, failed_at = excluded.failed_at, locked_until = excluded.locked_until
"""
FORGET_FAILURES = "DELETE FROM login_failures WHERE municipality = $1 AND (login = $2 OR failed_at < $3)"

INSERT_SESSION = """
INSERT INTO refresh_tokens (municipality, token_hash, session_id, account_id, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
LOCK_SESSION = """
SELECT session_id, account_id, expires_at, rotated_at, revoked_at IS NOT NULL AS revoked
FROM refresh_tokens WHERE municipality = $1 AND token_hash = $2 FOR UPDATE
"""
ROTATE_SESSION = """
UPDATE refresh_tokens SET rotated_at = coalesce(rotated_at, $3) WHERE municipality = $1 AND token_hash = $2
"""
REVOKE_SESSION = """
UPDATE refresh_tokens SET revoked_at = $3 WHERE municipality = $1 AND session_id = $2 AND revoked_at IS NULL
"""
REVOKE_ACCOUNT = """
UPDATE refresh_tokens SET revoked_at = $3 WHERE municipality = $1 AND account_id = $2 AND revoked_at IS NULL
"""
FORGET_SESSIONS = "DELETE FROM refresh_tokens WHERE municipality = $1 AND account_id = $2 AND expires_at < $3"

SELECT_KEYS = """
SELECT key_id, public_key, private_key FROM signing_keys
WHERE municipality = $1 AND (retired_at IS NULL OR retired_at > $2) ORDER BY made_at DESC
"""
SELECT_CURRENT_KEY = """
SELECT key_id, public_key, private_key FROM signing_keys
WHERE municipality = $1 AND private_key IS NOT NULL AND retired_at IS NULL ORDER BY made_at DESC LIMIT 1
"""
LOCK_LOGIN = "SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))"
LOCK_KEYS = "SELECT pg_advisory_xact_lock(hashtextextended('signing_keys', 0))"
INSERT_KEY = """
INSERT INTO signing_keys (municipality, key_id, public_key, private_key) VALUES ($1, $2, $3, $4)
ON CONFLICT (municipality, key_id) DO UPDATE SET retired_at = NULL
"""
RETIRE_KEYS = """
UPDATE signing_keys SET retired_at = $3 WHERE municipality = $1 AND key_id <> $2 AND retired_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as JWK texts; ``private_key`` is ``None`` where it is the operator's secret."""

    key_id: str
    public_key: str
    private_key: str | None


def _account(row: Any) -> Account | None:
    return Account(**dict(row)) if row else None


async def set_role(
    connection: Connection, municipality: str, person_id: UUID, role: str, on: date, *, held: bool
) -> int | None:
    """Grant or revoke; gives the new version, ``None`` when nothing changed."""
    version: int | None = await connection.fetchval(SET_ROLE, municipality, person_id, role, held, on)
    return version


async def held_roles(connection: Connection, municipality: str, person_id: UUID) -> list[str]:
    """The granted roles of a person."""
    return [row["role"] for row in await connection.fetch(SELECT_HELD_ROLES, municipality, person_id)]


async def other_administrators(connection: Connection, municipality: str, person_id: UUID, on: date) -> int:
    """How many others administer: in service, with an account that is not locked."""
    count: int = await connection.fetchval(COUNT_OTHER_ADMINISTRATORS, municipality, person_id, on)
    return count


async def account_taken(connection: Connection, municipality: str, person_id: UUID, login: str) -> bool | None:
    """``None``: free. True: the person has an account. False: the login is somebody else's."""
    rows = await connection.fetch(SELECT_TAKEN, municipality, person_id, login)
    return any(row["same_person"] for row in rows) if rows else None


async def insert_account(connection: Connection, municipality: str, account: Account, changed_by: UUID | None) -> None:
    """A new account without a password."""
    await connection.execute(
        INSERT_ACCOUNT, municipality, account.account_id, account.person_id, account.login, changed_by
    )


async def lock_account(connection: Connection, municipality: str, account_id: UUID) -> Account | None:
    """One account, locked."""
    return _account(await connection.fetchrow(LOCK_ACCOUNT, municipality, account_id))


async def account_by_login(connection: Connection, municipality: str, login: str) -> Account | None:
    """The account with that login."""
    return _account(await connection.fetchrow(FIND_BY_LOGIN, municipality, login))


async def account_of_person(connection: Connection, municipality: str, person_id: UUID) -> Account | None:
    """The account of a person."""
    return _account(await connection.fetchrow(FIND_BY_PERSON, municipality, person_id))


async def lock_out(
    connection: Connection, municipality: str, account_id: UUID, locked_at: datetime | None, changed_by: UUID | None
) -> None:
    """Lock an account, or unlock it (``None``)."""
    await connection.execute(LOCK_OUT, municipality, account_id, locked_at, changed_by)


async def set_password(connection: Connection, municipality: str, account_id: UUID, password_hash: str) -> None:
    """Set a password's hash."""
    await connection.execute(SET_HASH, municipality, account_id, password_hash)


async def rehash(connection: Connection, municipality: str, account: Account, password_hash: str) -> None:
    """Replace the hash by a stronger one of the same password, unless the password was changed meanwhile."""
    await connection.execute(REHASH, municipality, account.account_id, password_hash, account.password_hash)


async def replace_link(
    connection: Connection, municipality: str, account_id: UUID, token_hash: bytes, expires_at: datetime
) -> None:
    """One link an account: a new one makes the old one useless."""
    await connection.execute(REPLACE_LINK, municipality, account_id)
    await connection.execute(INSERT_LINK, municipality, token_hash, account_id, expires_at)


async def find_link(connection: Connection, municipality: str, token_hash: bytes, now: datetime) -> Account | None:
    """The account a valid link belongs to."""
    return _account(await connection.fetchrow(FIND_LINK, municipality, token_hash, now))


async def take_link(connection: Connection, municipality: str, token_hash: bytes) -> bool:
    """Use a link up; false when somebody did before."""
    return await connection.fetchrow(TAKE_LINK, municipality, token_hash) is not None


async def failures_of(connection: Connection, municipality: str, login: str) -> Failures:
    """Failures in a row of a login."""
    row = await connection.fetchrow(SELECT_FAILURES, municipality, login)
    return Failures(row["failures"], row["failed_at"], row["locked_until"]) if row else Failures()


async def lock_login(connection: Connection, municipality: str, login: str) -> None:
    """Failures of one login are counted one after the other, also the first ones, which have no row to lock."""
    await connection.execute(LOCK_LOGIN, municipality, login)


async def save_failures(connection: Connection, municipality: str, login: str, failures: Failures) -> None:
    """Note one failure more."""
    await connection.execute(
        UPSERT_FAILURES, municipality, login, failures.count, failures.failed_at, failures.locked_until
    )


async def forget_failures(connection: Connection, municipality: str, login: str, before: datetime) -> None:
    """A success: the login starts afresh, and what is old of others goes with it."""
    await connection.execute(FORGET_FAILURES, municipality, login, before)


async def insert_session(connection: Connection, municipality: str, token_hash: bytes, session: Session) -> None:
    """A new refresh token."""
    await connection.execute(
        INSERT_SESSION, municipality, token_hash, session.session_id, session.account_id, session.expires_at
    )


async def lock_session(connection: Connection, municipality: str, token_hash: bytes) -> Session | None:
    """The session a refresh token belongs to, locked."""
    row = await connection.fetchrow(LOCK_SESSION, municipality, token_hash)
    return Session(**dict(row)) if row else None


async def rotate_session(connection: Connection, municipality: str, token_hash: bytes, now: datetime) -> None:
    """The token was replaced."""
    await connection.execute(ROTATE_SESSION, municipality, token_hash, now)


async def revoke_session(connection: Connection, municipality: str, session_id: UUID, now: datetime) -> None:
    """No token of the session works any more."""
    await connection.execute(REVOKE_SESSION, municipality, session_id, now)


async def revoke_account(connection: Connection, municipality: str, account_id: UUID, now: datetime) -> None:
    """No token of the account works any more."""
    await connection.execute(REVOKE_ACCOUNT, municipality, account_id, now)


async def forget_sessions(connection: Connection, municipality: str, account_id: UUID, before: datetime) -> None:
    """Drop what has run out."""
    await connection.execute(FORGET_SESSIONS, municipality, account_id, before)


async def keys(connection: Connection, municipality: str, now: datetime) -> Sequence[StoredKey]:
    """Keys whose tokens are valid, the newest first."""
    return [StoredKey(**dict(row)) for row in await connection.fetch(SELECT_KEYS, municipality, now)]


async def current_key(connection: Connection, municipality: str) -> StoredKey | None:
    """The key kept in the database that signs."""
    row = await connection.fetchrow(SELECT_CURRENT_KEY, municipality)
    return StoredKey(**dict(row)) if row else None


async def lock_keys(connection: Connection) -> None:
    """Only one process makes a key at a time."""
    await connection.execute(LOCK_KEYS)


async def save_key(connection: Connection, municipality: str, key: StoredKey) -> None:
    """Keep a key."""
    await connection.execute(INSERT_KEY, municipality, key.key_id, key.public_key, key.private_key)


async def retire_keys(connection: Connection, municipality: str, except_key_id: str, retired_at: datetime) -> None:
    """All other keys sign no more, and their tokens are refused from ``retired_at`` on."""
    await connection.execute(RETIRE_KEYS, municipality, except_key_id, retired_at)

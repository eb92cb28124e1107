"""Sessions and uploads in PostgreSQL. What is personal is sealed with a key made from the visitor's cookie."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from chassis.transaction import Connection
from services.portal.domain import Identity, Person, Session, Tokens, Town, sealing_key, session_hash

ADD_SESSION = """
INSERT INTO sessions (municipality, session_hash, sealed, opened_at, seen_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""

FIND_SESSION = """
SELECT sealed, opened_at, seen_at, flash IS NOT NULL AS has_flash
FROM sessions WHERE municipality = $1 AND session_hash = $2 AND ends_at > $3
"""

TOUCH_SESSION = "UPDATE sessions SET seen_at = $3, ends_at = $4 WHERE municipality = $1 AND session_hash = $2"

LEASE_RENEWAL = """
UPDATE sessions SET refreshing_until = $4
WHERE municipality = $1 AND session_hash = $2 AND (refreshing_until IS NULL OR refreshing_until <= $3)
RETURNING sealed
"""

RENEW_SESSION = """
UPDATE sessions SET sealed = $3, refreshing_until = NULL WHERE municipality = $1 AND session_hash = $2
"""

END_SESSION = "DELETE FROM sessions WHERE municipality = $1 AND session_hash = $2 RETURNING sealed"

FORGET_ENDED = "DELETE FROM sessions WHERE municipality = $1 AND ends_at <= $2"

PUT_FLASH = "UPDATE sessions SET flash = $3 WHERE municipality = $1 AND session_hash = $2"

TAKE_FLASH = """
UPDATE sessions SET flash = NULL WHERE municipality = $1 AND session_hash = $2 AND flash IS NOT NULL
RETURNING OLD.flash
"""

ADD_UPLOAD = """
INSERT INTO uploads (municipality, upload_id, session_hash, kind, sealed, uploaded_at) VALUES ($1, $2, $3, $4, $5, $6)
"""

FIND_UPLOAD = """
SELECT kind, sealed FROM uploads WHERE municipality = $1 AND upload_id = $2 AND session_hash = $3
"""

REMOVE_UPLOADS = "DELETE FROM uploads WHERE municipality = $1 AND session_hash = $2"


def seal(secret: str, content: bytes) -> str:
    """Encrypt for the holder of the cookie (JWE, A256GCM)."""
    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, content, OctKey.import_key(sealing_key(secret)))


def unseal(secret: str, sealed: str) -> bytes:
    """Decrypt.

    Raises:
        ValueError: sealed with another secret, or changed.
    """
    try:
        content = jwe.decrypt_compact(sealed, OctKey.import_key(sealing_key(secret))).plaintext
    except JoseError as error:
        raise ValueError("sealed with another secret") from error
    return content or b""


def _sealed_identity(session: Session) -> str:
    content = asdict(session.identity)
    content["roles"] = sorted(session.identity.roles)
    return seal(session.secret, json.dumps(content, default=datetime.isoformat).encode())


def _identity(secret: str, sealed: str) -> Identity:
    content = json.loads(unseal(secret, sealed))
    tokens = content["tokens"]
    return Identity(
        Person(**content["person"]),
        Town(**content["town"]),
        frozenset(content["roles"]),
        Tokens(
            tokens["access"],
            tokens["refresh"],
            datetime.fromisoformat(tokens["issued_at"]),
            datetime.fromisoformat(tokens["expires_at"]),
        ),
    )


async def add_session(connection: Connection, session: Session) -> None:
    """Store a new session."""
    await connection.execute(
        ADD_SESSION,
        session.municipality,
        session.session_hash,
        _sealed_identity(session),
        session.opened_at,
        session.seen_at,
        session.ends_at,
    )


async def find_session(
    connection: Connection, municipality: str, secret: str, now: datetime
) -> tuple[Session, bool] | None:
    """The living session of a cookie, and whether a flash waits for its next page."""
    row = await connection.fetchrow(FIND_SESSION, municipality, session_hash(secret), now)
    if row is None:
        return None
    session = Session(municipality, secret, _identity(secret, row["sealed"]), row["opened_at"], row["seen_at"])
    return session, row["has_flash"]


async def touch_session(connection: Connection, session: Session) -> None:
    """Store when it was seen."""
    await connection.execute(
        TOUCH_SESSION, session.municipality, session.session_hash, session.seen_at, session.ends_at
    )


async def lease_renewal(connection: Connection, session: Session, now: datetime, until: datetime) -> Identity | None:
    """Take the right to renew the tokens until then; gives the newest identity, or nothing if another has the right."""
    sealed = await connection.fetchval(LEASE_RENEWAL, session.municipality, session.session_hash, now, until)
    return _identity(session.secret, sealed) if sealed is not None else None


async def renew_session(connection: Connection, session: Session) -> None:
    """Store the session's new identity and give the right to renew back."""
    await connection.execute(RENEW_SESSION, session.municipality, session.session_hash, _sealed_identity(session))


async def end_session(connection: Connection, municipality: str, secret: str) -> Identity | None:
    """Remove a session; gives its newest identity."""
    sealed = await connection.fetchval(END_SESSION, municipality, session_hash(secret))
    return _identity(secret, sealed) if sealed is not None else None


async def forget_ended(connection: Connection, municipality: str, now: datetime) -> None:
    """Remove the sessions that have ended."""
    await connection.execute(FORGET_ENDED, municipality, now)


async def put_flash(connection: Connection, session: Session, flash: dict[str, Any]) -> None:
    """Keep what the next page shall say."""
    await connection.execute(
        PUT_FLASH,
        session.municipality,
        session.session_hash,
        seal(session.secret, json.dumps(flash, ensure_ascii=False).encode()),
    )


async def take_flash(connection: Connection, session: Session) -> dict[str, Any] | None:
    """What the action before left to say; once."""
    sealed = await connection.fetchval(TAKE_FLASH, session.municipality, session.session_hash)
    if sealed is None:
        return None
    flash: dict[str, Any] = json.loads(unseal(session.secret, sealed))
    return flash


async def add_upload(
    connection: Connection, session: Session, upload_id: UUID, kind: str, content: bytes, *, now: datetime
) -> None:
    """Keep a file until it is imported; the newest one only."""
    await connection.execute(REMOVE_UPLOADS, session.municipality, session.session_hash)
    await connection.execute(
        ADD_UPLOAD,
        session.municipality,
        upload_id,
        session.session_hash,
        kind,
        seal(session.secret, content),
        now,
    )


async def find_upload(connection: Connection, session: Session, upload_id: UUID) -> tuple[str, bytes] | None:
    """The kind and content of a file of this session."""
    row = await connection.fetchrow(FIND_UPLOAD, session.municipality, upload_id, session.session_hash)
    return (row["kind"], unseal(session.secret, row["sealed"])) if row is not None else None


async def remove_uploads(connection: Connection, session: Session) -> None:
    """Forget the session's files."""
    await connection.execute(REMOVE_UPLOADS, session.municipality, session.session_hash)

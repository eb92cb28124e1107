"""Logging in, going on, logging out. No events: who logs in when is nobody's business.

These are not commands over HTTP with an Idempotency-Key: a failure must be kept although the answer is a refusal.
All instants are machine time; only roles follow the town's day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from pydantic import Field

from chassis.clocks import machine_now
from chassis.database import Database
from chassis.transaction import Connection, new_id
from services.directory.commands.passwords import (
    hash_password,
    is_outdated,
    matches,
    new_token,
    token_hash,
    town_of,
)
from services.directory.commands.signing import TOKEN_SECONDS, Signer
from services.directory.domain.access import (
    FAILURES_FORGOTTEN_AFTER,
    SESSION_LIFETIME,
    Account,
    LinkInvalid,
    LoginLocked,
    LoginRefused,
    Session,
    SessionEnded,
    check_password,
    check_session,
    fail_again,
    normal_login,
)
from services.directory.queries.identity import Identity, identity_of
from services.directory.repository import access as kept


@dataclass(frozen=True, slots=True)
class LogIn:
    """Login and password of somebody of a town."""

    municipality: str
    login: str
    password: str


@dataclass(frozen=True, slots=True)
class SetPassword:
    """The first or a new password, by a one-time link."""

    link_token: str
    password: str


class Tokens(Identity):
    """A token, what renews it, and whose it is."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  the name of a scheme
    expires_in: int = Field(description="seconds")
    refresh_token: str = Field(description="works once; the answer holds the next one")


async def _identity(database: Database, connection: Connection, municipality: str, person_id: UUID) -> Identity | None:
    clock = await database.civil_clock(connection)
    return await identity_of(connection, municipality, person_id, clock.today())


async def _tokens(database: Database, signer: Signer, identity: Identity, refresh_token: str) -> Tokens:
    return Tokens(
        **dict(identity),
        access_token=await signer.token(database, identity),
        expires_in=TOKEN_SECONDS,
        refresh_token=refresh_token,
    )


async def log_in(database: Database, signer: Signer, command: LogIn) -> Tokens:
    """Begin a session.

    Raises:
        LoginRefused: login or password is wrong, the account is locked, or the person has left.
        LoginLocked: the fifth failure in a row, or less than 15 minutes after it.
    """
    town, login = command.municipality, normal_login(command.login)
    async with database.reading(town) as connection:
        failures = await kept.failures_of(connection, town, login)
        account = await kept.account_by_login(connection, town, login)
    if failures.locked(machine_now()):
        raise LoginLocked
    right = await matches(account.password_hash if account else None, command.password)
    outdated = right and account is not None and is_outdated(account.password_hash or "")
    renewed = await hash_password(command.password) if outdated else None
    identity, refresh_token = None, new_token(town)
    async with database.scoped(town) as connection:
        if right and account is not None and not account.locked:
            identity = await _identity(database, connection, town, account.person_id)
        if identity is None or account is None:
            await kept.lock_login(connection, town, login)
            failed = fail_again(await kept.failures_of(connection, town, login), machine_now())
            await kept.save_failures(connection, town, login, failed)
        else:
            await _begin(connection, town, account, refresh_token)
            if renewed is not None:
                await kept.rehash(connection, town, account, renewed)
    if identity is None:
        raise LoginLocked if failed.locked(machine_now()) else LoginRefused
    return await _tokens(database, signer, identity, refresh_token)


async def _begin(connection: Connection, town: str, account: Account, refresh_token: str) -> None:
    now = machine_now()
    await kept.forget_failures(connection, town, account.login, now - FAILURES_FORGOTTEN_AFTER)
    await kept.forget_sessions(connection, town, account.account_id, now)
    session = Session(new_id(), account.account_id, now + SESSION_LIFETIME, None, revoked=False)
    await kept.insert_session(connection, town, token_hash(refresh_token), session)


async def refresh(database: Database, signer: Signer, refresh_token: str) -> Tokens:
    """Go on with a session: a new token with the roles of today, and the next refresh token.

    A refresh token that is used again long after it was replaced was stolen: the whole session ends.

    Raises:
        SessionEnded: unknown, used, revoked, too old, or the person may no longer log in.
    """
    town, now, following = town_of(refresh_token), machine_now(), new_token(town_of(refresh_token))
    identity = None
    async with database.scoped(town) as connection:
        found = await kept.lock_session(connection, town, token_hash(refresh_token))
        session, stolen = check_session(found, now)
        account = await kept.lock_account(connection, town, session.account_id)
        if account is not None and not account.locked and not stolen:
            identity = await _identity(database, connection, town, account.person_id)
        if identity is None:
            await kept.revoke_session(connection, town, session.session_id, now)
        else:
            await kept.rotate_session(connection, town, token_hash(refresh_token), now)
            await kept.insert_session(connection, town, token_hash(following), replace(session, rotated_at=None))
    if identity is None:
        raise SessionEnded
    return await _tokens(database, signer, identity, following)


async def end_session(database: Database, refresh_token: str) -> None:
    """Log out; a session that has ended already is no mistake."""
    town = town_of(refresh_token)
    async with database.scoped(town) as connection:
        session = await kept.lock_session(connection, town, token_hash(refresh_token))
        if session is not None:
            await kept.revoke_session(connection, town, session.session_id, machine_now())


async def set_password(database: Database, command: SetPassword) -> None:
    """Set a password by a one-time link, which is used up; all sessions of the account end.

    Raises:
        LinkInvalid: used, replaced or too old.
        Invalid: the password is too easy.
    """
    try:
        town = town_of(command.link_token)
    except SessionEnded as error:
        raise LinkInvalid from error
    hashed, now = token_hash(command.link_token), machine_now()
    async with database.reading(town) as connection:
        account = await kept.find_link(connection, town, hashed, now)
    if account is None:
        raise LinkInvalid
    check_password(command.password, account.login)
    password_hash = await hash_password(command.password)
    async with database.scoped(town) as connection:
        if not await kept.take_link(connection, town, hashed):
            raise LinkInvalid
        await kept.set_password(connection, town, account.account_id, password_hash)
        await kept.revoke_account(connection, town, account.account_id, now)
        await kept.forget_failures(connection, town, account.login, now - FAILURES_FORGOTTEN_AFTER)

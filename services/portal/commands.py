"""Logging in and out, and renewing what directory says about the visitor."""

from __future__ import annotations

import secrets
from datetime import datetime

from chassis.database import Database
from services.portal import repository
from services.portal.domain import RENEWAL_LEASE, Identity, LoginNeeded, Session, read_cookie
from services.portal.gateway import Gateway, Refused, ServiceDown

PASSWORD_SECONDS = 10.0
"""Patience where directory works on a password: that is slow on purpose."""

_ENDING_STATUSES = frozenset({401, 403, 404, 409, 422})


async def open_session(
    database: Database, gateway: Gateway, municipality: str, *, login: str, password: str, now: datetime
) -> Session:
    """Log in: directory checks the password, a new session is stored.

    Raises:
        Refused: wrong password, locked account.
        ServiceDown: directory does not answer.
    """
    answer = await gateway.send(
        "directory",
        "POST",
        "/tokens",
        patience=PASSWORD_SECONDS,
        json={"municipality": municipality, "login": login, "password": password},
    )
    identity = Identity.from_grant(answer.json(), now)
    session = Session(municipality, secrets.token_urlsafe(32), identity, now, now)
    async with database.scoped(municipality) as connection:
        await repository.forget_ended(connection, municipality, now)
        await repository.add_session(connection, session)
    return session


async def current_session(
    database: Database, gateway: Gateway, cookie: str, now: datetime, *, by_itself: bool = False
) -> tuple[Session, bool]:
    """The session of a cookie, its tokens renewed where they are not fresh; and whether a flash waits.

    ``by_itself``: a page renews a part of itself, nobody has done anything: the session idles on. A
    directory that does not answer leaves the session as it is, as long as its token is valid.

    Raises:
        LoginNeeded: no session, or it has ended, or directory ended it.
        ServiceDown: the token has run out and directory does not answer.
    """
    read = read_cookie(cookie)
    if read is None:
        raise LoginNeeded
    municipality, secret = read
    async with database.scoped(municipality) as connection:
        found = await repository.find_session(connection, municipality, secret, now)
        if found is None:
            raise LoginNeeded
        session, has_flash = found
        if not by_itself and (now - session.seen_at).total_seconds() > 60:  # noqa: PLR2004  a write a minute is enough
            session = session.seen(now)
            await repository.touch_session(connection, session)
    if not session.identity.tokens.is_fresh(now):
        session = await _renew(database, gateway, session, now)
    return session, has_flash


async def _renew(database: Database, gateway: Gateway, session: Session, now: datetime) -> Session:
    # A renewal token works once, so one request of the session renews; the others go on with what they have.
    async with database.scoped(session.municipality) as connection:
        newest = await repository.lease_renewal(connection, session, now, now + RENEWAL_LEASE)
    if newest is None:
        return _with_valid_token(session, now)
    session = session.renewed(newest)
    try:
        if not newest.tokens.is_fresh(now):
            answer = await gateway.send(
                "directory", "POST", "/tokens/refresh", json={"refresh_token": newest.tokens.refresh}
            )
            session = session.renewed(Identity.from_grant(answer.json(), now))
    except Refused as refused:
        if refused.problem.status not in _ENDING_STATUSES:
            return _with_valid_token(session, now)
        async with database.scoped(session.municipality) as connection:
            await repository.end_session(connection, session.municipality, session.secret)
        raise LoginNeeded from refused
    except ServiceDown:
        # The lease stays until it runs out: directory is asked again in a few seconds, not by every request.
        return _with_valid_token(session, now)
    async with database.scoped(session.municipality) as connection:
        await repository.renew_session(connection, session)
    return session


def _with_valid_token(session: Session, now: datetime) -> Session:
    if not session.identity.tokens.is_valid(now):
        raise ServiceDown("directory")
    return session


async def end_session(database: Database, gateway: Gateway, session: Session) -> None:
    """Log out here, and at directory where it answers."""
    async with database.scoped(session.municipality) as connection:
        identity = await repository.end_session(connection, session.municipality, session.secret)
    if identity is None:
        return
    try:
        await gateway.send("directory", "POST", "/tokens/revocation", json={"refresh_token": identity.tokens.refresh})
    except (ServiceDown, Refused):
        return  # the token runs out by itself; the session is gone already

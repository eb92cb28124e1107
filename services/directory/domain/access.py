"""Accounts, one-time links, sessions and roles."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from chassis.refusals import NotFound, Problems, Refusal

FAILURES_ALLOWED = 5
LOCKED_FOR = timedelta(minutes=15)
FAILURES_FORGOTTEN_AFTER = timedelta(days=1)
LINK_LIFETIME = timedelta(hours=72)
SESSION_LIFETIME = timedelta(hours=12)
ROTATION_GRACE = timedelta(seconds=30)
"""Two requests of one browser may refresh at once: the second one is no theft."""
PASSWORD_AT_LEAST = 10

GRANTED_ROLES = ("it_policy", "hr", "finance", "adviser", "executive", "admin")
"""Roles that an administrator gives. ``staff``, ``leader`` and ``section_head`` follow from facts."""


class LoginRefused(Refusal):
    """Login or password is wrong, or the account may not be used: the answer does not tell which."""

    code = "directory.login_refused"
    status = 401
    ja = "ログインできません。ログインIDとパスワードを確かめてください。"
    en = "Login or password is wrong, or this account may not be used."


class LoginLocked(Refusal):
    """Too many failures."""

    code = "directory.login_locked"
    status = 429
    ja = "間違いが続いたため、15分ほどログインできません。時間をおいて、もう一度お試しください。"
    en = "Too many failures; wait 15 minutes and try again."


class SessionEnded(Refusal):
    """The refresh token is unknown, used up, revoked or too old."""

    code = "directory.session_ended"
    status = 401
    ja = "ログインの有効期限が切れました。もう一度ログインしてください。"
    en = "This refresh token is no longer valid; log in again."


class LinkInvalid(Refusal):
    """A one-time link works once, for three days."""

    code = "directory.link_invalid"
    status = 422
    ja = "このリンクは使えません。期限が切れたか、使用済みです。管理者に新しいリンクを頼んでください。"
    en = "This link was used, replaced or is too old. Ask the administrator for a new one."


class AccountUnknown(NotFound):
    """No such account in the municipality."""

    code = "directory.account_unknown"
    ja = "このアカウントは見つかりません。一覧から選び直してください。"
    en = "There is no such account. Choose one from GET /accounts."


class LoginTaken(Refusal):
    """Logins are unique in a town."""

    code = "directory.login_taken"
    ja = "このログインIDはすでに使われています。別のIDにしてください。"
    en = "This login is taken. Choose another one."


class AccountExists(Refusal):
    """One account a person."""

    code = "directory.account_exists"
    ja = "この職員にはすでにアカウントがあります。"
    en = "This person has an account already."


class RoleFollows(Refusal):
    """Some roles nobody gives."""

    code = "directory.role_follows"
    status = 422
    ja = "この役割は、職員・課の長・選任の登録に合わせて自動で付きます。"
    en = "staff, leader and section_head follow from facts; they are not granted."


class LastAdministrator(Refusal):
    """Somebody must be able to let others in."""

    code = "directory.last_administrator"
    ja = "管理者がいなくなります。先に別の人を管理者にしてください。"
    en = "This would leave the municipality without an administrator. Make somebody else one first."


@dataclass(frozen=True, slots=True)
class Account:
    """What somebody logs in with. ``locked``: by an administrator."""

    account_id: UUID
    person_id: UUID
    login: str
    password_hash: str | None
    locked: bool


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords in a row for one login."""

    count: int = 0
    failed_at: datetime | None = None
    locked_until: datetime | None = None

    def locked(self, now: datetime) -> bool:
        """Whether the login is locked out now."""
        return self.locked_until is not None and now < self.locked_until


@dataclass(frozen=True, slots=True)
class Session:
    """One refresh token."""

    session_id: UUID
    account_id: UUID
    expires_at: datetime
    rotated_at: datetime | None
    revoked: bool


def normal_login(login: str) -> str:
    """One way to write a login: half-width, lower case, no spaces around."""
    return unicodedata.normalize("NFKC", login).strip().lower()


def fail_again(before: Failures, now: datetime) -> Failures:
    """One more failure; the fifth in a row locks, and so does every one after a lock until somebody succeeds."""
    stale = before.failed_at is None or now - before.failed_at > FAILURES_FORGOTTEN_AFTER
    count = 1 if stale else before.count + 1
    return Failures(count, now, now + LOCKED_FOR if count >= FAILURES_ALLOWED else None)


def check_session(session: Session | None, now: datetime) -> tuple[Session, bool]:
    """The session, and whether its token was stolen: used again long after it was replaced.

    Raises:
        SessionEnded: unknown, revoked or too old.
    """
    if session is None or session.revoked or now >= session.expires_at:
        raise SessionEnded
    return session, session.rotated_at is not None and now - session.rotated_at > ROTATION_GRACE


def check_password(password: str, login: str) -> None:
    """Refuse a password that is too easy.

    Raises:
        Invalid: too short, or the login itself.
    """
    problems = Problems()
    if len(password) < PASSWORD_AT_LEAST:
        problems.add(
            "password",
            ja=f"{PASSWORD_AT_LEAST}文字以上にしてください。",
            en=f"must have at least {PASSWORD_AT_LEAST} characters",
        )
    elif login in normal_login(password):
        problems.add("password", ja="ログインIDを含まないものにしてください。", en="must not contain the login")
    problems.refuse_any()


def require_granted(role: str) -> str:
    """The role, which is one that is granted.

    Raises:
        RoleFollows: it follows from facts.
    """
    if role not in GRANTED_ROLES:
        raise RoleFollows
    return role


def protect_last(other_administrators: int) -> None:
    """Refuse what would leave no administrator.

    Raises:
        LastAdministrator: nobody else is one.
    """
    if not other_administrators:
        raise LastAdministrator


def roles_of(granted: set[str], *, leads: bool, heads: bool) -> frozenset[str]:
    """All roles of somebody who works for the town."""
    derived = {role for role, holds in (("leader", leads), ("section_head", heads)) if holds}
    return frozenset({"staff", *granted, *derived})

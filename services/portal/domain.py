"""Sessions: how long they live, what their cookie proves, when their tokens are renewed. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.municipality import is_municipality
from chassis.refusals import Refusal

IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(hours=12)
TOKEN_FRESH = timedelta(seconds=60)
"""Older tokens are renewed, so that a role that was just granted shows within a minute."""
RENEWAL_LEASE = timedelta(seconds=6)
EXPIRY_MARGIN = timedelta(seconds=5)


class LoginNeeded(Refusal):
    """Nobody is logged in, or not any more."""

    code = "portal.login_needed"
    status = 401
    ja = "ログインの有効期限が切れました。もう一度ログインしてください。"
    en = "Log in first."


class FormForeign(Refusal):
    """A form was not sent from a page of this session."""

    code = "portal.form_foreign"
    status = 403
    ja = "この画面は開いてから時間がたったか、別のログインのものです。開き直して、もう一度送ってください。"
    en = "The form does not belong to this session; open the page again."


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in, as directory told at login or renewal."""

    person_id: str
    name: str
    section_id: str = ""
    section_name: str = ""
    post: str = ""


@dataclass(frozen=True, slots=True)
class Town:
    """The municipality the visitor works for."""

    code: str
    name: str
    fictional: bool = False


@dataclass(frozen=True, slots=True)
class Tokens:
    """What proves the visitor to the services. ``issued_at``/``expires_at`` in machine time."""

    access: str
    refresh: str
    issued_at: datetime
    expires_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether the roles in it may be taken as the present ones."""
        return now - self.issued_at < TOKEN_FRESH and self.is_valid(now)

    def is_valid(self, now: datetime) -> bool:
        """Whether the services still accept it."""
        return now < self.expires_at - EXPIRY_MARGIN


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything directory says about the visitor."""

    person: Person
    town: Town
    roles: frozenset[str]
    tokens: Tokens

    def has(self, *roles: str) -> bool:
        """Whether the visitor holds one of the roles."""
        return not self.roles.isdisjoint(roles)

    @classmethod
    def from_grant(cls, grant: Mapping[str, Any], now: datetime) -> Identity:
        """Read the answer of directory's ``POST /tokens``.

        Raises:
            KeyError: the answer lacks something.
        """
        person, town = grant["person"], grant["municipality"]
        return cls(
            Person(
                str(person["person_id"]),
                person["name"],
                str(person.get("section_id") or ""),
                person.get("section_name") or "",
                person.get("post") or "",
            ),
            Town(town["code"], town["name"], bool(town.get("fictional"))),
            frozenset(grant["roles"]),
            Tokens(
                grant["access_token"],
                grant["refresh_token"],
                now,
                now + timedelta(seconds=int(grant["expires_in"])),
            ),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """One login in one browser."""

    municipality: str
    secret: str
    identity: Identity
    opened_at: datetime
    seen_at: datetime

    @property
    def ends_at(self) -> datetime:
        """When it ends if nobody comes back."""
        return min(self.seen_at + IDLE, self.opened_at + ABSOLUTE)

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended: idle for eight hours, or twelve hours old."""
        return now >= self.ends_at

    def seen(self, now: datetime) -> Session:
        """The session after a visit."""
        return replace(self, seen_at=now)

    def renewed(self, identity: Identity) -> Session:
        """The session with what directory says now."""
        return replace(self, identity=identity)

    @property
    def cookie(self) -> str:
        """The cookie's value: the municipality, for the tenant's wall, and the secret."""
        return f"{self.municipality}.{self.secret}"

    @property
    def session_hash(self) -> bytes:
        """What the database knows of the secret."""
        return session_hash(self.secret)


def session_hash(secret: str) -> bytes:
    """The id under which a session is stored; the secret cannot be found from it."""
    return hashlib.sha256(f"session {secret}".encode()).digest()


def sealing_key(secret: str) -> bytes:
    """The key (32 bytes) that encrypts what is stored of a session; made from the secret, stored nowhere."""
    return hashlib.sha256(f"sealing {secret}".encode()).digest()


def form_token(secret: str) -> str:
    """The token in every form of a session."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


def is_own_form(secret: str, token: str) -> bool:
    """Whether a form came from a page of this session."""
    return hmac.compare_digest(form_token(secret).encode(), token.encode())


def read_cookie(value: str) -> tuple[str, str] | None:
    """The municipality and the secret of a cookie; nothing where it is not one of ours."""
    municipality, dot, secret = value.partition(".")
    if not dot or not is_municipality(municipality) or not 20 <= len(secret) <= 100 or not secret.isascii():  # noqa: PLR2004  43 as made
        return None
    return municipality, secret


def own_path(wanted: str) -> str:
    """A path on this portal to go to after login: the wanted one, or the home page where it leads elsewhere."""
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and "\n" not in wanted
    return wanted if inside and not wanted.startswith(("/login", "/logout", "/live/")) else "/"

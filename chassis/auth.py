"""Who is calling. Tokens are issued by directory; every service verifies them itself, against cached keys.

A token is a JWT signed with Ed25519 (RFC 8037), minutes long. Its claims: ``iss`` and ``aud`` ``taiwa``, ``sub`` the
person's id, ``municipality``, ``roles``, ``section`` (id of the own section), ``name`` is not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from chassis.clocks import machine_now, monotonic
from chassis.municipality import is_municipality
from chassis.refusals import Refusal

ISSUER = "taiwa"
AUDIENCE = "taiwa"
ALGORITHM = "Ed25519"
JWKS_PATH = "/.well-known/jwks.json"
LEEWAY_SECONDS = 30
KEYS_FRESH_SECONDS = 300
KEYS_RETRY_SECONDS = 5
FIRST_KEYS_RETRY_SECONDS = 0.5
VERIFIED_KEPT = 4096

_MALFORMED = (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a token or a key set of any shape may raise."""


class NotAuthenticated(Refusal):
    """No token, or one that is expired, forged or from somewhere else."""

    code = "auth.not_authenticated"
    status = 401
    ja = "ログインの有効期限が切れました。もう一度ログインしてください。"
    en = "Send a valid bearer token; this one is missing, expired or not from this installation."


class KeysUnavailable(Refusal):
    """The issuer's keys were never fetched and directory does not answer."""

    code = "auth.keys_unavailable"
    status = 503
    ja = "ログインの確認ができません。しばらくしてからもう一度お試しください。"
    en = "The issuer's keys cannot be fetched yet; try again shortly."


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified person (or program) of one municipality."""

    municipality: str
    person_id: UUID
    roles: frozenset[str]
    section_id: UUID | None = None

    def has(self, *roles: str) -> bool:
        """Whether the caller holds one of the roles."""
        return not self.roles.isdisjoint(roles)


FetchKeys = Callable[[], Awaitable[dict[str, object]]]


def keys_from(url: str) -> FetchKeys:
    """Fetches a JWK set by HTTP, within three seconds."""

    async def fetch() -> dict[str, object]:
        async with httpx.AsyncClient(timeout=3) as client:
            response = await client.get(url)
            response.raise_for_status()
            keys: dict[str, object] = response.json()
            return keys

    return fetch


class TokenVerifier:
    """Verifies tokens; keeps the issuer's keys, so that a running session outlives a restart of directory."""

    def __init__(self, fetch: FetchKeys) -> None:
        self._fetch = fetch
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._verified: dict[str, tuple[Caller, float]] = {}

    async def _refresh(self) -> None:
        async with self._lock:
            if monotonic() - self._tried < (FIRST_KEYS_RETRY_SECONDS if self._keys is None else KEYS_RETRY_SECONDS):
                return
            self._tried = monotonic()
            try:
                fetched = await self._fetch()
                self._keys = KeySet.import_key_set(fetched)  # type: ignore[arg-type]  # joserfc's own TypedDict
                self._fetched = monotonic()
                self._verified.clear()
            except (httpx.HTTPError, *_MALFORMED) as error:
                if self._keys is None:
                    raise KeysUnavailable from error

    async def have_keys(self) -> None:
        """Have the issuer's keys; keys that grew old are renewed beside the requests, which go on with the old ones.

        Raises:
            KeysUnavailable: no keys yet and directory is down.
        """
        if self._keys is None:
            await self._refresh()
            if self._keys is None:
                raise KeysUnavailable
        elif monotonic() - self._fetched > KEYS_FRESH_SECONDS and (self._renewal is None or self._renewal.done()):
            self._renewal = asyncio.create_task(self._refresh())

    async def verify(self, token: str) -> Caller:
        """The caller a token names.

        Raises:
            NotAuthenticated: expired, forged, foreign, malformed.
            KeysUnavailable: no keys yet and directory is down.
        """
        await self.have_keys()
        try:
            return self._read(token)
        except _MALFORMED as first:
            # An unknown key may be a new one: look once, at most every few seconds.
            await self._refresh()
            try:
                return self._read(token)
            except _MALFORMED:
                raise NotAuthenticated from first

    def _read(self, token: str) -> Caller:
        if self._keys is None:
            raise KeysUnavailable
        now = machine_now().timestamp()
        if (known := self._verified.get(token)) is not None and now < known[1]:
            return known[0]
        claims = jwt.decode(token, self._keys, algorithms=[ALGORITHM]).claims
        if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE:
            raise ValueError("foreign token")
        if not claims["nbf"] - LEEWAY_SECONDS <= now < claims["exp"] + LEEWAY_SECONDS:
            raise ValueError("outside its time")
        if not is_municipality(claims["municipality"]):
            raise ValueError("no municipality")
        section = claims.get("section")
        caller = Caller(
            municipality=claims["municipality"],
            person_id=UUID(claims["sub"]),
            roles=frozenset(claims["roles"]),
            section_id=UUID(section) if section else None,
        )
        if len(self._verified) >= VERIFIED_KEPT:
            self._verified.clear()
        # A signature is checked once: it costs more than the rest of a small request.
        self._verified[token] = (caller, claims["exp"] + LEEWAY_SECONDS)
        return caller

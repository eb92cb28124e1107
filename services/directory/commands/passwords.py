"""Hashing of passwords (argon2id) and of tokens, off the event loop and never many at once: each takes 46 MiB."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.directory.domain.access import SessionEnded

AT_ONCE = 2
_hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
"""The first of OWASP's equal choices for argon2id: a third of the processor time of argon2-cffi's own, on two cores."""
_places = asyncio.Semaphore(AT_ONCE)

NOBODYS_HASH = _hasher.hash(secrets.token_hex())
"""Checked where there is no account, so that an answer takes as long as any other."""


async def hash_password(password: str) -> str:
    """The hash of a password, with its salt and cost."""
    async with _places:
        return await asyncio.to_thread(_hasher.hash, password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


async def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is right; without a hash it never is, and takes as long."""
    async with _places:
        right = await asyncio.to_thread(_matches, password_hash or NOBODYS_HASH, password)
    return right and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with another cost than today's."""
    return _hasher.check_needs_rehash(password_hash)


def new_token(municipality: str) -> str:
    """A random token, 256 bits, that says whose town it belongs to."""
    return f"{municipality}.{secrets.token_hex(32)}"


def token_hash(token: str) -> bytes:
    """What is stored of a token. It is random, so a plain hash will do."""
    return hashlib.sha256(token.encode()).digest()


def town_of(token: str) -> str:
    """The municipality a token names.

    Raises:
        SessionEnded: it is no token of ours.
    """
    town, dot, _ = token.partition(".")
    if not dot or len(town) != 6 or not town.isascii() or not town.isdigit():  # noqa: PLR2004  a municipality code
        raise SessionEnded
    return town

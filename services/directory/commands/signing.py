"""Keys that sign tokens (Ed25519), and what else rests on them.

The key is the operator's secret (a private JWK), or, in a demo or test without one, made once and kept in the
database, where the api role alone reads it. The public half of every key is kept until tokens that it signed have run
out, so that replacing the secret ends nobody's session.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel

from chassis.auth import ALGORITHM, AUDIENCE, ISSUER
from chassis.clocks import machine_now, monotonic
from chassis.database import Database
from chassis.municipality import INSTALLATION
from chassis.refusals import Refusal
from chassis.transaction import Transaction
from services.directory.queries.identity import Identity
from services.directory.repository import access as kept

TOKEN_SECONDS = 300
KEY_FRESH_SECONDS = 60
RETIRED_AFTER = timedelta(hours=1)


class SigningKeyMissing(Refusal):
    """In production the key is the operator's to give."""

    code = "directory.signing_key_missing"
    status = 503
    ja = "ログインの準備ができていません。管理者に連絡してください。"
    en = "Set TAIWA_DIRECTORY_SIGNING_KEY_FILE to a private Ed25519 JWK and restart directory."


class SigningKeyGiven(Refusal):
    """The operator's secret is replaced by the operator."""

    code = "directory.signing_key_given"
    ja = "署名の鍵は設定ファイルで決まっています。ファイルを新しい鍵に替えてください。"
    en = "The signing key is a secret of the operator; replace it there and restart directory."


class KeyRotated(BaseModel):
    """The key that signs from now on."""

    key_id: str


def new_key() -> OKPKey:
    """A fresh private key, named by its thumbprint."""
    made = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": ALGORITHM})
    return OKPKey.import_key({**made.as_dict(private=True), "kid": made.thumbprint()})


def read_key(text: str) -> OKPKey:
    """A private JWK from its JSON; without ``kid`` it is named by its thumbprint.

    Raises:
        ValueError: not a private Ed25519 JWK.
    """
    problem = "TAIWA_DIRECTORY_SIGNING_KEY is not a private Ed25519 JWK (RFC 8037)"
    try:
        key = OKPKey.import_key(json.loads(text))
        content = key.as_dict(private=True)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ValueError(problem) from error
    if content.get("crv") != "Ed25519" or "d" not in content:
        raise ValueError(problem)
    defaults = {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
    return OKPKey.import_key({**defaults, **content})


def _stored(key: OKPKey, *, private: bool) -> kept.StoredKey:
    return kept.StoredKey(
        str(key.kid),
        json.dumps(key.as_dict(private=False)),
        json.dumps(key.as_dict(private=True)) if private else None,
    )


class Signer:
    """Signs tokens and says with which keys; one for each process."""

    def __init__(self, given: str | None, *, may_generate: bool) -> None:
        self._given = read_key(given) if given else None
        self._may_generate = may_generate
        self._key: OKPKey | None = None
        self._read_at = float("-inf")

    async def key(self, database: Database) -> OKPKey:
        """The private key that signs now.

        Raises:
            SigningKeyMissing: none was given, in production.
        """
        if self._key is not None and (self._given or monotonic() - self._read_at < KEY_FRESH_SECONDS):
            return self._key
        if self._given is None and not self._may_generate:
            raise SigningKeyMissing
        async with database.scoped(INSTALLATION) as connection:
            await kept.lock_keys(connection)
            if self._given is not None:
                key, stored = self._given, _stored(self._given, private=False)
            else:
                found = await kept.current_key(connection, INSTALLATION)
                key = OKPKey.import_key(json.loads(found.private_key)) if found and found.private_key else new_key()
                stored = _stored(key, private=True)
            await kept.save_key(connection, INSTALLATION, stored)
            await kept.retire_keys(connection, INSTALLATION, stored.key_id, machine_now() + RETIRED_AFTER)
        self._key, self._read_at = key, monotonic()
        return key

    async def public_keys(self, database: Database) -> list[dict[str, object]]:
        """Every key whose tokens are valid, as public JWKs."""
        await self.key(database)
        async with database.reading(INSTALLATION) as connection:
            stored = await kept.keys(connection, INSTALLATION, machine_now())
        return [json.loads(each.public_key) for each in stored]

    async def rotate(self, tx: Transaction) -> KeyRotated:
        """Sign with a new key; tokens signed before stay valid. The transaction is the installation's, not a town's.

        A process signs with it within :data:`KEY_FRESH_SECONDS`, the one that is told to :meth:`read_anew` at once.

        Raises:
            SigningKeyGiven: the key is the operator's secret.
        """
        if self._given is not None:
            raise SigningKeyGiven
        key = new_key()
        await kept.lock_keys(tx.connection)
        await kept.save_key(tx.connection, INSTALLATION, _stored(key, private=True))
        await kept.retire_keys(tx.connection, INSTALLATION, str(key.kid), machine_now() + RETIRED_AFTER)
        return KeyRotated(key_id=str(key.kid))

    def read_anew(self) -> None:
        """Look for the key in the database before the next token is signed."""
        self._read_at = float("-inf")

    async def token(self, database: Database, identity: Identity) -> str:
        """A token for somebody, five minutes long; claims as ``chassis.auth`` reads them."""
        key = await self.key(database)
        now = int(machine_now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(identity.person.person_id),
            "municipality": identity.municipality.code,
            "roles": identity.roles,
            "section": str(identity.person.section_id),
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])

    async def link_token(self, database: Database, municipality: str, link_id: str) -> str:
        """The token of a one-time link. It is made from the link's id, so that nobody needs to store it."""
        private = str((await self.key(database)).as_dict(private=True)["d"])
        secret = hashlib.sha256(f"taiwa one-time links {private}".encode()).digest()
        return f"{municipality}.{hmac.new(secret, link_id.encode(), hashlib.sha256).hexdigest()}"

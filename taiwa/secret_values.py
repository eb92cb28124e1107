"""What secrets are made of."""

from __future__ import annotations

import json
import secrets

SIGNING_KEY = "signing_key"


def make(name: str) -> str:
    """Make the value of a secret: a private Ed25519 JWK for the signing key, else 256 random bits as text."""
    if name != SIGNING_KEY:
        return secrets.token_urlsafe(32)
    from joserfc.jwk import OKPKey  # noqa: PLC0415 - a third of a second, once in an installation's life

    key = OKPKey.generate_key("Ed25519", private=True, auto_kid=True)
    return json.dumps(key.as_dict(private=True))

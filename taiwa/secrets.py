"""Secrets of an installation as files, each made once and never printed.

One file a service's password, ``postgres`` for the administrator's, ``signing_key`` for the private key of tokens.
A file is owned by the one account that needs it and readable by the operators' group, nobody else.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from joserfc.jwk import OKPKey

OPERATORS = 10100
"""Group (and user) id of the operator's commands: migrate, topics, cli."""

POSTGRES = 999
"""User id of PostgreSQL in its official image."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One file: its name and the user id that owns it."""

    name: str
    uid: int

    def make(self) -> str:
        """A fresh value: 32 random bytes, or a private Ed25519 key as JWK."""
        if self.name == "signing_key":
            return json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
        return secrets.token_urlsafe(32)


SECRETS = (
    Secret("postgres", POSTGRES),
    Secret("signing_key", 10101),
    Secret("directory", 10101),
    Secret("leaders", 10102),
    Secret("trainings", 10103),
    Secret("consultations", 10104),
    Secret("notifications", 10105),
    Secret("portal", 10106),
)


def make_missing(directory: Path) -> list[str]:
    """Make the files that are not there and give their names; those that are there keep their content.

    Ownership is set only when run as root (in the container); an ordinary user gets files of mode 0400.

    Raises:
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = []
    for secret in SECRETS:
        path = directory / secret.name
        if path.exists():
            continue
        # Written aside and renamed: a cut in between leaves no half secret behind.
        aside = path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w", encoding="utf-8") as file:
            file.write(secret.make())
        if os.geteuid() == 0:
            os.chown(aside, secret.uid, OPERATORS)
            aside.chmod(0o440)
        aside.rename(path)
        made.append(secret.name)
    return made

"""Accounts and their one-time links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from chassis.clocks import machine_now
from chassis.database import Database
from chassis.transaction import Transaction, new_id
from services.directory.commands.passwords import token_hash
from services.directory.commands.signing import Signer
from services.directory.commands.transfers import require_person
from services.directory.domain.access import (
    LINK_LIFETIME,
    Account,
    AccountExists,
    AccountUnknown,
    LoginTaken,
    normal_login,
    protect_last,
)
from services.directory.domain.transfers import require_in_service
from services.directory.repository import access as kept
from services.directory.repository import municipality as towns


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """Somebody may log in."""

    person_id: UUID
    login: str


@dataclass(frozen=True, slots=True)
class RenewLink:
    """A new one-time link: for the first password, or a forgotten one."""

    account_id: UUID


@dataclass(frozen=True, slots=True)
class LockAccount:
    """Nobody may use the account, or (``locked`` false) may again."""

    account_id: UUID
    locked: bool


class LinkMade(BaseModel):
    """A one-time link. Its token is not part of it: what is stored of an answer must not open an account."""

    account_id: UUID
    link_id: UUID
    expires_at: datetime


class OneTimeLink(LinkMade):
    """A one-time link with the token that works once."""

    link_token: str


class Links:
    """Makes one-time links whose token is stored nowhere."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    async def make(self, tx: Transaction, account_id: UUID) -> LinkMade:
        """A link for an account; earlier ones stop working."""
        made = LinkMade(account_id=account_id, link_id=new_id(), expires_at=machine_now() + LINK_LIFETIME)
        token = (await self.reveal(tx.municipality, made)).link_token
        await kept.replace_link(tx.connection, tx.municipality, account_id, token_hash(token), made.expires_at)
        return made

    async def reveal(self, municipality: str, made: LinkMade) -> OneTimeLink:
        """The link with its token."""
        token = await self._signer.link_token(self._database, municipality, str(made.link_id))
        return OneTimeLink(**dict(made), link_token=token)


def actor_of(tx: Transaction) -> UUID | None:
    """The person who acts, if a person does."""
    return UUID(tx.actor.id) if tx.actor.kind == "staff" else None


async def open_account(tx: Transaction, command: OpenAccount, links: Links) -> LinkMade:
    """Open an account without a password, with a one-time link for the first one."""
    account = await add_account(tx, command)
    return await links.make(tx, account.account_id)


async def add_account(tx: Transaction, command: OpenAccount) -> Account:
    """The new account.

    Raises:
        AccountExists, LoginTaken, PersonUnknown, PersonHasLeft: see there.
    """
    # Two at once with one login: the second one is refused, not a fault of a unique index.
    await towns.lock_municipality(tx.connection, tx.municipality)
    person = require_in_service(await require_person(tx, command.person_id), tx.today)
    login = normal_login(command.login)
    taken = await kept.account_taken(tx.connection, tx.municipality, person.person_id, login)
    if taken is not None:
        raise AccountExists if taken else LoginTaken
    account = Account(new_id(), person.person_id, login, None, locked=False)
    await kept.insert_account(tx.connection, tx.municipality, account, actor_of(tx))
    return account


async def require_account(tx: Transaction, account_id: UUID) -> Account:
    """The account, locked.

    Raises:
        AccountUnknown: there is none.
    """
    account = await kept.lock_account(tx.connection, tx.municipality, account_id)
    if account is None:
        raise AccountUnknown
    return account


async def renew_link(tx: Transaction, command: RenewLink, links: Links) -> LinkMade:
    """A new one-time link; the password stays until the link is used."""
    account = await require_account(tx, command.account_id)
    require_in_service(await require_person(tx, account.person_id), tx.today)
    return await links.make(tx, account.account_id)


async def lock_account(tx: Transaction, command: LockAccount) -> None:
    """Lock an account and end its sessions, or unlock it and forget its failures."""
    await towns.lock_municipality(tx.connection, tx.municipality)
    account = await require_account(tx, command.account_id)
    now = machine_now()
    if not command.locked:
        await kept.lock_out(tx.connection, tx.municipality, account.account_id, None, actor_of(tx))
        await kept.forget_failures(tx.connection, tx.municipality, account.login, now)
        return
    if "admin" in await kept.held_roles(tx.connection, tx.municipality, account.person_id):
        protect_last(await kept.other_administrators(tx.connection, tx.municipality, account.person_id, tx.today))
    await kept.lock_out(tx.connection, tx.municipality, account.account_id, now, actor_of(tx))
    await kept.revoke_account(tx.connection, tx.municipality, account.account_id, now)

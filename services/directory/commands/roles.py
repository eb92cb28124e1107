"""Roles that administrators give and take."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from chassis.transaction import Transaction
from services.directory.commands.transfers import require_person
from services.directory.domain.access import protect_last, require_granted
from services.directory.domain.transfers import require_in_service
from services.directory.repository import access as kept
from services.directory.repository import municipality as towns
from taiwa_contracts.directory import RoleGrantedV1, RoleRevokedV1


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Somebody holds a role from today on."""

    person_id: UUID
    role: str


@dataclass(frozen=True, slots=True)
class RevokeRole:
    """Somebody holds a role no more."""

    person_id: UUID
    role: str


async def grant_role(tx: Transaction, command: GrantRole) -> None:
    """Grant a role; one that is held already changes nothing."""
    role = require_granted(command.role)
    person = require_in_service(await require_person(tx, command.person_id), tx.today)
    version = await kept.set_role(tx.connection, tx.municipality, person.person_id, role, tx.today, held=True)
    if version is not None:
        event = RoleGrantedV1.model_validate({"person_id": person.person_id, "role": role, "effective_from": tx.today})
        tx.emit(event, version=version)


async def revoke_role(tx: Transaction, command: RevokeRole) -> None:
    """Revoke a role; one that is not held changes nothing. The last administrator stays."""
    role = require_granted(command.role)
    await towns.lock_municipality(tx.connection, tx.municipality)
    person = await require_person(tx, command.person_id)
    if role == "admin":
        protect_last(await kept.other_administrators(tx.connection, tx.municipality, person.person_id, tx.today))
    await _revoke(tx, person.person_id, role)


async def revoke_all(tx: Transaction, person_id: UUID) -> None:
    """Somebody leaves: no role stays."""
    for role in await kept.held_roles(tx.connection, tx.municipality, person_id):
        await _revoke(tx, person_id, role)


async def _revoke(tx: Transaction, person_id: UUID, role: str) -> None:
    version = await kept.set_role(tx.connection, tx.municipality, person_id, role, tx.today, held=False)
    if version is not None:
        event = RoleRevokedV1.model_validate({"person_id": person_id, "role": role, "effective_from": tx.today})
        tx.emit(event, version=version)

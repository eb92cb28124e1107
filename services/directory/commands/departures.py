"""Departures: somebody no longer works for the town, and so no longer gets in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.clocks import machine_now
from chassis.transaction import Transaction, new_id
from services.directory.commands.heads import vacate_headships
from services.directory.commands.publication import publish
from services.directory.commands.roles import revoke_all
from services.directory.commands.transfers import TAKE_EFFECT, require_person
from services.directory.domain.access import protect_last
from services.directory.domain.people import Person
from services.directory.domain.transfers import (
    Departure,
    DepartureClosed,
    DepartureRecorded,
    DepartureUnknown,
    leave,
    require_in_service,
)
from services.directory.repository import access
from services.directory.repository import municipality as towns
from services.directory.repository import people as people_kept
from services.directory.repository import transfers as kept

DEPART = "depart"


@dataclass(frozen=True, slots=True)
class RecordDeparture:
    """Somebody leaves; ``effective_from`` is the day after the last one."""

    person_id: UUID
    effective_from: date


@dataclass(frozen=True, slots=True)
class WithdrawDeparture:
    """Somebody stays after all."""

    departure_id: UUID


class DepartureIsRecorded(BaseModel):
    """The departure's id."""

    departure_id: UUID


async def record_departure(tx: Transaction, command: RecordDeparture) -> DepartureIsRecorded:
    """Record a departure; of today or earlier it takes effect at once, else by a timer at 00:00 of its day."""
    await towns.lock_municipality(tx.connection, tx.municipality)
    person = require_in_service(await require_person(tx, command.person_id), tx.today)
    if await kept.planned_departure(tx.connection, tx.municipality, person.person_id):
        raise DepartureRecorded
    if "admin" in await access.held_roles(tx.connection, tx.municipality, person.person_id):
        protect_last(await access.other_administrators(tx.connection, tx.municipality, person.person_id, tx.today))
    departure = Departure(new_id(), person.person_id, command.effective_from)
    leave(person, departure.effective_from)
    await kept.save_departure(tx.connection, tx.municipality, departure)
    if departure.effective_from <= tx.today:
        await _take_effect(tx, person, departure)
    else:
        tx.schedule(DEPART, f"departure/{departure.departure_id}", at(departure.effective_from, "00:00"))
    return DepartureIsRecorded(departure_id=departure.departure_id)


async def _take_effect(tx: Transaction, person: Person, departure: Departure) -> None:
    change = leave(person, max(departure.effective_from, person.posted_on))
    await people_kept.save_changes(tx.connection, tx.municipality, [change], tx.now)
    await kept.save_departure(tx.connection, tx.municipality, replace(departure, state="effective"))
    publish(tx, [change])
    await vacate_headships(tx, [change])
    for transfer_id in await kept.cancel_planned(tx.connection, tx.municipality, person.person_id):
        tx.cancel(TAKE_EFFECT, f"transfer/{transfer_id}")
    await revoke_all(tx, person.person_id)
    if (account := await access.account_of_person(tx.connection, tx.municipality, person.person_id)) is not None:
        await access.revoke_account(tx.connection, tx.municipality, account.account_id, machine_now())


async def depart(tx: Transaction, aggregate: str) -> None:
    """Timer: the day has come. A departure that was withdrawn changes nothing."""
    departure = await kept.lock_departure(tx.connection, tx.municipality, UUID(aggregate.partition("/")[2]))
    if departure is None or departure.state != "planned" or departure.effective_from > tx.today:
        return
    person = await require_person(tx, departure.person_id)
    if not person.left(tx.today):
        await _take_effect(tx, person, departure)


async def withdraw_departure(tx: Transaction, command: WithdrawDeparture) -> None:
    """Take a planned departure back."""
    departure = await kept.lock_departure(tx.connection, tx.municipality, command.departure_id)
    if departure is None:
        raise DepartureUnknown
    if departure.state != "planned":
        raise DepartureClosed
    tx.cancel(DEPART, f"departure/{departure.departure_id}")
    await kept.save_departure(tx.connection, tx.municipality, replace(departure, state="withdrawn"))

"""Absences: from when to when, never why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.directory.commands.transfers import require_person
from services.directory.domain.people import Change, Person
from services.directory.domain.transfers import (
    Absence,
    AbsenceUnknown,
    AbsenceWithdrawn,
    check_period,
    require_in_service,
)
from services.directory.repository import people as people_kept
from services.directory.repository import transfers as kept
from taiwa_contracts.directory import AbsenceRecordedV1


@dataclass(frozen=True, slots=True)
class RecordAbsence:
    """Somebody is away, both days inclusive; ``until_on`` ``None``: nobody knows yet."""

    person_id: UUID
    from_on: date
    until_on: date | None = None


@dataclass(frozen=True, slots=True)
class WithdrawAbsence:
    """The absence was recorded wrongly."""

    absence_id: UUID


class AbsenceRecorded(BaseModel):
    """The absence's id."""

    absence_id: UUID


async def record_absence(tx: Transaction, command: RecordAbsence) -> AbsenceRecorded:
    """Record an absence; it is published at once, so that a deputy can be named ahead."""
    check_period(command.from_on, command.until_on)
    person = require_in_service(await require_person(tx, command.person_id), tx.today)
    absence = Absence(new_id(), person.person_id, command.from_on, command.until_on)
    await kept.insert_absence(tx.connection, tx.municipality, absence)
    await _publish(tx, person, absence)
    return AbsenceRecorded(absence_id=absence.absence_id)


async def withdraw_absence(tx: Transaction, command: WithdrawAbsence) -> None:
    """Take an absence back."""
    absence = await kept.lock_absence(tx.connection, tx.municipality, command.absence_id)
    if absence is None:
        raise AbsenceUnknown
    if absence.withdrawn:
        raise AbsenceWithdrawn
    await kept.withdraw_absence(tx.connection, tx.municipality, absence.absence_id, tx.now)
    await _publish(tx, await require_person(tx, absence.person_id), replace(absence, withdrawn=True))


async def _publish(tx: Transaction, person: Person, absence: Absence) -> None:
    after = replace(person, version=person.version + 1)
    change = Change("silent", person, after, absence.from_on)
    await people_kept.save_changes(tx.connection, tx.municipality, [change], tx.now)
    event = AbsenceRecordedV1(
        person_id=absence.person_id,
        absence_id=absence.absence_id,
        from_on=absence.from_on,
        until_on=absence.until_on,
        withdrawn=absence.withdrawn,
    )
    tx.emit(event, version=after.version)

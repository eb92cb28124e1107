"""Correct an appointment that was recorded wrongly. The wrong reading stays in ``appointment_records``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.transaction import Transaction
from services.leaders.commands.deputy import publish_deputy_ended
from services.leaders.commands.end_term import publish_extended
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain import appointment as domain
from services.leaders.domain.appointment import Appointment, Correction
from services.leaders.repository import appointments
from taiwa_contracts.leaders import AppointmentCorrectedV1


@dataclass(frozen=True, slots=True)
class CorrectAppointment:
    """The right values; those left out stay."""

    appointment_id: UUID
    right: Correction


class Corrected(BaseModel):
    """How the appointment reads now. ``ends_on`` is the last day; withdrawn: it never was."""

    appointment_id: UUID
    starts_on: date
    ends_on: date
    withdrawn: bool
    version: int


async def correct_appointment(tx: Transaction, command: CorrectAppointment) -> Corrected:
    """Put the right values in place.

    Raises:
        NotFound, NotInOffice, PeriodInvalid, NothingCorrected: see their sentences.
    """
    before = await appointments.load_appointment(tx.connection, tx.municipality, command.appointment_id)
    after = await _save(tx, before, domain.correct(before, command.right, tx.today))
    await review_coverage(tx, [after.section_id])
    return Corrected(
        appointment_id=after.appointment_id,
        starts_on=after.starts_on,
        ends_on=after.last_day or after.ends_on,
        withdrawn=after.withdrawn,
        version=after.version,
    )


async def undo_transfer_ends(tx: Transaction, person_id: UUID, transfer_id: UUID) -> None:
    """A transfer was taken back: terms that ended because of it go on as if it had not been."""
    for before in await appointments.appointments_of_person(tx.connection, tx.municipality, person_id):
        after = domain.transfer_reverted(before, transfer_id)
        if after.version > before.version:
            await _save(tx, before, after)
            await review_coverage(tx, [after.section_id])
        elif after is not before:
            await appointments.save_appointment(tx.connection, tx.municipality, before, after)


async def _save(tx: Transaction, before: Appointment, after: Appointment) -> Appointment:
    connection, municipality = tx.connection, tx.municipality
    await appointments.record(connection, municipality, [after], "corrected", recorded_by=tx.actor.id, now=tx.now)
    tx.emit(
        AppointmentCorrectedV1(
            appointment_id=after.appointment_id,
            person_id=after.person_id,
            section_id=after.section_id,
            effective_from=after.starts_on,
            ends_on=after.last_day or after.ends_on,
            decided_on=after.decision.decided_on,
            decided_by_post=after.decision.decided_by_post,
            document_number=after.decision.document_number,
            withdrawn=after.withdrawn,
        ),
        version=after.version,
    )
    if (serves_on_from := after.serves_on_from) is not None and not after.is_over:
        # The correction states the term's own last day; that the leader serves on beyond it has to be said again.
        after = replace(after, version=after.version + 1)
        await publish_extended(tx, after, serves_on_from)
    if after.is_over and after.deputy is not None:
        after = await publish_deputy_ended(tx, after, tx.today)
    await appointments.save_appointment(connection, municipality, before, after)
    aggregate = f"appointment/{after.appointment_id}"
    if (due_on := domain.due_on(after)) is not None:
        tx.schedule("end_term", aggregate, at(due_on, "00:00"))
    else:
        tx.cancel("end_term", aggregate)
    return after

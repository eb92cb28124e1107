"""End terms: because the day has come, a successor is there, the person left or moved, or the town says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.transaction import Transaction
from services.leaders.commands.deputy import publish_deputy_ended
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain import appointment as domain
from services.leaders.domain.appointment import Appointment, End, EndReason
from services.leaders.repository import appointments, facts
from taiwa_contracts.leaders import LeaderTermEndedV1, LeaderTermExtendedV1


@dataclass(frozen=True, slots=True)
class EndAppointment:
    """``ended_on`` is the last day in office; a day to come is planned and takes effect on the day after it."""

    appointment_id: UUID
    ended_on: date
    reason: EndReason


class TermEnd(BaseModel):
    """Not a leader any more from ``effective_from``; ``planned`` while that day is still to come."""

    appointment_id: UUID
    effective_from: date
    reason: EndReason
    planned: bool
    version: int


async def end_appointment(tx: Transaction, command: EndAppointment) -> TermEnd:
    """End one term by the town's own word.

    Raises:
        NotFound, NotInOffice: see their sentences.
    """
    appointment = await appointments.load_appointment(tx.connection, tx.municipality, command.appointment_id)
    [after] = await end_terms(tx, [appointment], End(command.ended_on + timedelta(days=1), command.reason))
    await review_coverage(tx, [appointment.section_id])
    end = after.end or after.planned_end or End(command.ended_on, command.reason)
    return TermEnd(
        appointment_id=after.appointment_id,
        effective_from=end.effective_from,
        reason=end.reason,
        planned=after.end is None,
        version=after.version,
    )


async def end_terms(tx: Transaction, running: Sequence[Appointment], wanted: End) -> list[Appointment]:
    """End these appointments, which are locked and not over. Coverage is the caller's to review."""
    ended = [domain.end(appointment, wanted, tx.today) for appointment in running]
    return [await _save(tx, before, after) for before, after in zip(running, ended, strict=True)]


async def end_term_when_due(tx: Transaction, appointment_id: UUID) -> None:
    """What the timer does: end the term, or let the predecessor serve on by the town's rule. Late is a no-op.

    Everything due in the section happens at once, so that its coverage is reviewed when all have ended or served on.
    """
    section_id = await appointments.section_of(tx.connection, tx.municipality, appointment_id)
    for appointment in await appointments.appointments_of_section(tx.connection, tx.municipality, section_id):
        due_on = domain.due_on(appointment)
        if due_on is not None and due_on <= tx.today:
            await _fall_due(tx, appointment)
        else:
            _schedule(tx, appointment)
    await review_coverage(tx, [section_id])


async def _fall_due(tx: Transaction, appointment: Appointment) -> None:
    day_after = appointment.ends_on + timedelta(days=1)
    rules = await facts.rules_on(tx.connection, tx.municipality, day_after)
    successor = await appointments.has_successor(tx.connection, tx.municipality, appointment, day_after)
    after = domain.fall_due(appointment, tx.today, serves_on=rules.predecessor_serves_on, has_successor=successor)
    await _save(tx, appointment, after)


async def _save(tx: Transaction, before: Appointment, after: Appointment) -> Appointment:
    """Store what an end, a plan or serving on changed, publish it, and end the deputy of a term that is over."""
    connection, municipality = tx.connection, tx.municipality
    if after.end is not None:
        await _publish_ended(tx, after, after.end)
    elif after.serves_on_from is not None and before.serves_on_from is None:
        await publish_extended(tx, after, after.serves_on_from)
    if after.is_over and after.deputy is not None:
        after = await publish_deputy_ended(tx, after, tx.today)
    await appointments.save_appointment(connection, municipality, before, after)
    _schedule(tx, after)
    return after


async def _publish_ended(tx: Transaction, appointment: Appointment, end: End) -> None:
    await appointments.record(
        tx.connection, tx.municipality, [appointment], "ended", recorded_by=tx.actor.id, now=tx.now
    )
    tx.emit(
        LeaderTermEndedV1(
            appointment_id=appointment.appointment_id,
            person_id=appointment.person_id,
            section_id=appointment.section_id,
            effective_from=end.effective_from,
            reason=end.reason,
        ),
        version=appointment.version,
    )


async def publish_extended(tx: Transaction, appointment: Appointment, serves_on_from: date) -> None:
    """Publish and keep that the leader serves on; the appointment is the caller's to save."""
    await appointments.record(
        tx.connection, tx.municipality, [appointment], "extended", recorded_by=tx.actor.id, now=tx.now
    )
    tx.emit(
        LeaderTermExtendedV1(
            appointment_id=appointment.appointment_id,
            person_id=appointment.person_id,
            section_id=appointment.section_id,
            effective_from=serves_on_from,
        ),
        version=appointment.version,
    )


def _schedule(tx: Transaction, appointment: Appointment) -> None:
    aggregate = f"appointment/{appointment.appointment_id}"
    if (due_on := domain.due_on(appointment)) is None:
        tx.cancel("end_term", aggregate)
    else:
        tx.schedule("end_term", aggregate, at(due_on, "00:00"))

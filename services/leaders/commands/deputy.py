"""One deputy per leader (代理), for a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.transaction import Transaction, new_id
from services.leaders.domain import appointment as domain
from services.leaders.domain.appointment import Appointment, Colleague, Deputy
from services.leaders.domain.call import may_act_for
from services.leaders.repository import appointments, facts
from taiwa_contracts.leaders import DeputyEndedV1, DeputyNamedV1

END_DEPUTY = "end_deputy"


@dataclass(frozen=True, slots=True)
class NameDeputy:
    """``named_by`` is the section's head, or somebody of hr on its behalf (``is_hr``)."""

    appointment_id: UUID
    person_id: UUID
    from_on: date
    until_on: date | None
    named_by: UUID
    is_hr: bool = False


@dataclass(frozen=True, slots=True)
class EndDeputy:
    """The deputy stands in no longer, from today."""

    appointment_id: UUID
    ended_by: UUID
    is_hr: bool = False


class DeputyOf(BaseModel):
    """A leader's deputy, both days inclusive (open end: null)."""

    appointment_id: UUID
    person_id: UUID
    from_on: date
    until_on: date | None
    version: int


async def name_deputy(tx: Transaction, command: NameDeputy) -> DeputyOf:
    """Name a colleague of the section as the leader's deputy.

    Raises:
        NotFound, NotTheHead, NotInOffice, OwnDeputy, HasLeft, NotOfSection, AlreadyHasDeputy, PeriodInvalid.
    """
    connection, municipality = tx.connection, tx.municipality
    before = await appointments.load_appointment(connection, municipality, command.appointment_id)
    head = await facts.head_on(connection, municipality, before.section_id, tx.today)
    may_act_for(head, command.named_by, is_hr=command.is_hr)
    day = max(command.from_on, tx.today)
    place = (await facts.places_on(connection, municipality, [command.person_id], day))[command.person_id]
    colleague = Colleague(command.person_id, before.section_id in place.section_ids, place.has_left)
    deputy = Deputy(new_id(), command.person_id, command.from_on, command.until_on)
    rules = await facts.rules_on(connection, municipality, tx.today)
    after = domain.name_deputy(before, colleague, deputy, tx.today, rules)
    await appointments.add_deputy(connection, municipality, after.appointment_id, deputy)
    await appointments.save_appointment(connection, municipality, before, after)
    await appointments.record(connection, municipality, [after], "deputy_named", recorded_by=tx.actor.id, now=tx.now)
    _publish_named(tx, after, deputy)
    return DeputyOf(
        appointment_id=after.appointment_id,
        person_id=deputy.person_id,
        from_on=deputy.from_on,
        until_on=deputy.until_on,
        version=after.version,
    )


async def end_deputy(tx: Transaction, command: EndDeputy) -> None:
    """End a deputy by the word of the head or hr.

    Raises:
        NotFound, NotTheHead, NoDeputy: see their sentences.
    """
    before = await appointments.load_appointment(tx.connection, tx.municipality, command.appointment_id)
    head = await facts.head_on(tx.connection, tx.municipality, before.section_id, tx.today)
    may_act_for(head, command.ended_by, is_hr=command.is_hr)
    after = await publish_deputy_ended(tx, before, tx.today)
    await appointments.save_appointment(tx.connection, tx.municipality, before, after)


async def end_deputy_when_due(tx: Transaction, appointment_id: UUID) -> None:
    """What the timer does: end a deputy whose last day has passed, or who is not of the section any more."""
    before = await appointments.load_appointment(tx.connection, tx.municipality, appointment_id)
    if before.deputy is None:
        return
    person = before.deputy.person_id
    place = (await facts.places_on(tx.connection, tx.municipality, [person], tx.today))[person]
    if domain.deputy_is_over(before.deputy, tx.today) or before.section_id not in place.section_ids:
        after = await publish_deputy_ended(tx, before, tx.today)
        await appointments.save_appointment(tx.connection, tx.municipality, before, after)
    else:
        _schedule(tx, appointment_id, before.deputy)


async def end_deputies_gone(tx: Transaction, person_id: UUID, gone_from: date) -> None:
    """A person left or moved from ``gone_from``: where they stand in, that is looked at on that day."""
    for appointment in await appointments.appointments_with_deputy(tx.connection, tx.municipality, person_id):
        if gone_from > tx.today:
            tx.schedule(END_DEPUTY, f"appointment/{appointment.appointment_id}", at(gone_from, "00:00"))
        else:
            await end_deputy_when_due(tx, appointment.appointment_id)


async def publish_deputy_ended(tx: Transaction, appointment: Appointment, ended_from: date) -> Appointment:
    """Publish and store that the deputy stands in no longer; the appointment is the caller's to save.

    Raises:
        NoDeputy: there is none.
    """
    after = domain.end_deputy(appointment)
    deputy = appointment.deputy
    assert deputy is not None  # noqa: S101  else end_deputy has refused
    await appointments.end_deputy(tx.connection, tx.municipality, deputy, ended_from)
    await appointments.record(
        tx.connection, tx.municipality, [after], "deputy_ended", recorded_by=tx.actor.id, now=tx.now
    )
    tx.cancel(END_DEPUTY, f"appointment/{after.appointment_id}")
    tx.emit(
        DeputyEndedV1(
            appointment_id=after.appointment_id,
            person_id=after.person_id,
            section_id=after.section_id,
            deputy_person_id=deputy.person_id,
            effective_from=ended_from,
        ),
        version=after.version,
    )
    return after


def _publish_named(tx: Transaction, appointment: Appointment, deputy: Deputy) -> None:
    tx.emit(
        DeputyNamedV1(
            appointment_id=appointment.appointment_id,
            person_id=appointment.person_id,
            section_id=appointment.section_id,
            deputy_person_id=deputy.person_id,
            effective_from=deputy.from_on,
            until_on=deputy.until_on,
        ),
        version=appointment.version,
    )
    _schedule(tx, appointment.appointment_id, deputy)


def _schedule(tx: Transaction, appointment_id: UUID, deputy: Deputy) -> None:
    if deputy.until_on is not None:
        due = at(deputy.until_on + timedelta(days=1), "00:00")
        tx.schedule(END_DEPUTY, f"appointment/{appointment_id}", due)

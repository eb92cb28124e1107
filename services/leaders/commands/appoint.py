"""Appoint the people whom sections named. Here, and nowhere else, ``LeaderAppointed`` is emitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.transaction import Transaction, new_id
from services.leaders.commands.end_term import end_terms
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain.appointment import Appointment, Decision, End
from services.leaders.domain.call import SectionCall
from services.leaders.domain.rules import TownRules
from services.leaders.repository import appointments, calls
from taiwa_contracts.leaders import LeaderAppointedV1


class Appointed(BaseModel):
    """A person is the section's leader from ``starts_on`` to ``ends_on``, both inclusive."""

    appointment_id: UUID
    section_call_id: UUID
    section_id: UUID
    person_id: UUID
    fiscal_year: int
    starts_on: date
    ends_on: date
    word: str
    decided_on: date | None
    decided_by_post: str | None
    document_number: str | None
    version: int


async def appoint(
    tx: Transaction,
    answered: Sequence[SectionCall],
    decision: Decision,
    first_days: Mapping[SectionCall, date],
    rules: TownRules,
) -> list[Appointed]:
    """One appointment for each standing nomination of the answered calls, which are thereby settled.

    Who serves on from an earlier fiscal year ends on the successor's first day.
    """
    made = [
        Appointment(
            appointment_id=new_id(),
            section_call_id=call.section_call_id,
            section_id=call.section_id,
            person_id=nomination.person_id,
            fiscal_year=call.fiscal_year,
            starts_on=first_days[call],
            ends_on=rules.term_ends_on(call.fiscal_year),
            word=rules.appointment_word,
            decision=decision,
        )
        for call in answered
        for nomination in call.nominations
    ]
    settled = [replace(call, state="decided", nominations=()) for call in answered]
    await calls.save_section_calls(tx.connection, tx.municipality, answered, settled, tx.now)
    for call in answered:
        await calls.settle_nominations(tx.connection, tx.municipality, call.nominations, "decided")
    await appointments.add_appointments(tx.connection, tx.municipality, made, tx.actor.id, tx.now)
    for appointment in made:
        _publish(tx, appointment)
    await _end_predecessors(tx, answered, first_days)
    await review_coverage(tx, [call.section_id for call in answered])
    return [_appointed(appointment) for appointment in made]


def _publish(tx: Transaction, appointment: Appointment) -> None:
    tx.emit(
        LeaderAppointedV1(
            appointment_id=appointment.appointment_id,
            person_id=appointment.person_id,
            section_id=appointment.section_id,
            fiscal_year=appointment.fiscal_year,
            effective_from=appointment.starts_on,
            ends_on=appointment.ends_on,
            word=appointment.word,
            decided_on=appointment.decision.decided_on,
            decided_by_post=appointment.decision.decided_by_post,
            document_number=appointment.decision.document_number,
        ),
        version=appointment.version,
    )
    aggregate = f"appointment/{appointment.appointment_id}"
    tx.schedule("end_term", aggregate, at(appointment.ends_on + timedelta(days=1), "00:00"))
    if appointment.starts_on > tx.today:
        tx.schedule("begin_term", aggregate, at(appointment.starts_on, "00:00"))


async def _end_predecessors(
    tx: Transaction, answered: Sequence[SectionCall], first_days: Mapping[SectionCall, date]
) -> None:
    for call in answered:
        starts_on = first_days[call]
        serving = await appointments.predecessors(
            tx.connection, tx.municipality, [call.section_id], call.fiscal_year, starts_on
        )
        await end_terms(tx, serving, End(starts_on, "successor"))


def _appointed(appointment: Appointment) -> Appointed:
    return Appointed(
        appointment_id=appointment.appointment_id,
        section_call_id=appointment.section_call_id,
        section_id=appointment.section_id,
        person_id=appointment.person_id,
        fiscal_year=appointment.fiscal_year,
        starts_on=appointment.starts_on,
        ends_on=appointment.ends_on,
        word=appointment.word,
        decided_on=appointment.decision.decided_on,
        decided_by_post=appointment.decision.decided_by_post,
        document_number=appointment.decision.document_number,
        version=appointment.version,
    )

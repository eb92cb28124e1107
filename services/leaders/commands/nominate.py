"""A section names people as its leaders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.leaders.commands.appoint import Appointed, appoint
from services.leaders.domain import call as domain
from services.leaders.domain.appointment import Decision
from services.leaders.domain.call import Candidate, Nomination, SectionCall, first_day
from services.leaders.repository import appointments, calls, facts
from taiwa_contracts.leaders import LeaderNominatedV1


@dataclass(frozen=True, slots=True)
class NominateLeaders:
    """``nominated_by`` is the section's head, or somebody of hr on its behalf (``is_hr``)."""

    section_call_id: UUID
    person_ids: tuple[UUID, ...]
    nominated_by: UUID
    is_hr: bool = False


class Nominated(BaseModel):
    """The section's answer. ``appointments`` is filled only where the town's rule asks for no decision."""

    section_call_id: UUID
    state: str
    nomination_ids: list[UUID]
    appointments: list[Appointed] = []
    version: int


async def nominate_leaders(tx: Transaction, command: NominateLeaders) -> Nominated:
    """Record the answer; it waits for a decision, unless the section's own choice appoints (rule decision_required).

    Raises:
        NotFound, NotTheHead, NotAsked, CallClosed, AlreadyNominated, AlreadyLeader, HasLeft, NotOfSection.
    """
    connection, municipality = tx.connection, tx.municipality
    call = await calls.load_section_call(connection, municipality, command.section_call_id)
    head = await facts.head_on(connection, municipality, call.section_id, tx.today)
    domain.may_act_for(head, command.nominated_by, is_hr=command.is_hr)
    rules = await facts.rules_on(connection, municipality, tx.today)
    day = first_day(call.fiscal_year, tx.today)
    candidates = await candidates_of(tx, call, command.person_ids, day)
    named = [Nomination(new_id(), person, command.nominated_by) for person in command.person_ids]
    answered = domain.nominate(call, candidates, named, tx.today, rules)
    await calls.save_section_calls(connection, municipality, [call], [answered], tx.now)
    await calls.add_nominations(connection, municipality, call.section_call_id, named, tx.now)
    for version, nomination in enumerate(named, start=call.version + 1):
        _publish(tx, answered, nomination, version)
    appointed = [] if rules.decision_required else await appoint(tx, [answered], Decision(), {answered: day}, rules)
    return Nominated(
        section_call_id=call.section_call_id,
        state=answered.state if rules.decision_required else "decided",
        nomination_ids=[nomination.nomination_id for nomination in named],
        appointments=appointed,
        version=answered.version,
    )


async def candidates_of(tx: Transaction, call: SectionCall, people: Sequence[UUID], day: date) -> list[Candidate]:
    """What is known on ``day`` of the people a section names."""
    places = await facts.places_on(tx.connection, tx.municipality, people, day)
    leaders = await appointments.leaders_of_year(tx.connection, tx.municipality, call.section_id, call.fiscal_year)
    return [
        Candidate(
            person_id=person,
            of_section=call.section_id in places[person].section_ids,
            has_left=places[person].has_left,
            is_leader=person in leaders,
        )
        for person in people
    ]


def _publish(tx: Transaction, call: SectionCall, nomination: Nomination, version: int) -> None:
    tx.emit(
        LeaderNominatedV1(
            section_call_id=call.section_call_id,
            fiscal_year=call.fiscal_year,
            section_id=call.section_id,
            nomination_id=nomination.nomination_id,
            person_id=nomination.person_id,
            nominated_by=nomination.nominated_by,
        ),
        version=version,
    )

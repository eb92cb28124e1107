"""Record the town's decision (決裁) on the answers of one or many sections: all of them, or none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction
from services.leaders.commands.appoint import Appointed, appoint
from services.leaders.commands.nominate import candidates_of
from services.leaders.domain import call as domain
from services.leaders.domain.appointment import Decision
from services.leaders.repository import calls, facts


@dataclass(frozen=True, slots=True)
class DecideNominations:
    """The town's act: day, post and document number are its own. Who types it in is the transaction's actor."""

    section_call_ids: tuple[UUID, ...]
    decision: Decision
    decided_on: date
    starts_on: date | None = None


class Decided(BaseModel):
    """The appointments that the decision made."""

    appointments: list[Appointed]


async def decide_nominations(tx: Transaction, command: DecideNominations) -> Decided:
    """Turn every nomination of these sections into an appointment.

    The section calls are locked in the order of their ids, so two deciders cannot pass: the second finds them decided.

    Raises:
        NotFound, NotAwaitingDecision, DecidedInFuture, StartsOutsideTerm, HasLeft, NotOfSection: nothing is changed.
    """
    answered = await calls.load_section_calls(tx.connection, tx.municipality, command.section_call_ids)
    rules = await facts.rules_on(tx.connection, tx.municipality, tx.today)
    first_days = {}
    for call in answered:
        starts_on = domain.term_starts_on(call.fiscal_year, command.decided_on, command.starts_on)
        people = [nomination.person_id for nomination in call.nominations]
        nominees = await candidates_of(tx, call, people, max(starts_on, tx.today))
        domain.decide(call, nominees, command.decided_on, starts_on, today=tx.today, rules=rules)
        first_days[call] = starts_on
    return Decided(appointments=await appoint(tx, answered, command.decision, first_days, rules))

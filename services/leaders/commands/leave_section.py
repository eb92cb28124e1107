"""A person does not belong to some sections any more: their terms there end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.transaction import Transaction
from services.leaders.commands.end_term import end_terms
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain.appointment import End, EndReason
from services.leaders.repository import appointments, facts


@dataclass(frozen=True, slots=True)
class LeftSections:
    """From ``effective_from`` the person belongs to ``stays`` only. ``cause``: the transfer, so it can be undone."""

    person_id: UUID
    stays: frozenset[UUID]
    effective_from: date
    reason: EndReason
    cause: UUID | None = None


async def end_terms_elsewhere(tx: Transaction, command: LeftSections) -> None:
    """End the person's terms in other sections; on a transfer only where the town's rule says so."""
    rules = await facts.rules_on(tx.connection, tx.municipality, command.effective_from)
    if command.reason == "transfer" and not rules.ends_on_transfer:
        return
    terms = await appointments.appointments_of_person(tx.connection, tx.municipality, command.person_id)
    left = [term for term in terms if not term.is_over and term.section_id not in command.stays]
    await end_terms(tx, left, End(command.effective_from, command.reason, command.cause))
    await review_coverage(tx, [term.section_id for term in left])

"""Who is a leader when, folded from the facts of ``leaders``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from uuid import UUID

from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

TermFact = LeaderAppointedV1 | AppointmentCorrectedV1 | LeaderTermExtendedV1 | LeaderTermEndedV1


@dataclass(frozen=True, slots=True)
class Term:
    """A person is a leader from ``from_on`` to ``until_on``, inclusive (``None``: serves on)."""

    appointment_id: UUID
    person_id: UUID
    section_id: UUID
    from_on: date
    until_on: date | None
    withdrawn: bool = False


def fold(known: dict[UUID, Term], facts: Iterable[TermFact]) -> dict[UUID, Term]:
    """The terms after the facts, which come in order per appointment; only those that were touched."""
    terms, touched = dict(known), set[UUID]()
    for fact in facts:
        terms[fact.appointment_id] = _after(terms.get(fact.appointment_id), fact)
        touched.add(fact.appointment_id)
    return {appointment_id: terms[appointment_id] for appointment_id in touched}


def _after(before: Term | None, fact: TermFact) -> Term:
    if isinstance(fact, LeaderAppointedV1 | AppointmentCorrectedV1):
        withdrawn = isinstance(fact, AppointmentCorrectedV1) and fact.withdrawn
        return Term(fact.appointment_id, fact.person_id, fact.section_id, fact.effective_from, fact.ends_on, withdrawn)
    it = before or Term(fact.appointment_id, fact.person_id, fact.section_id, fact.effective_from, None)
    if isinstance(fact, LeaderTermExtendedV1):
        return replace(it, until_on=None)
    return replace(it, until_on=fact.effective_from - timedelta(days=1))

"""One case with its entries, its clock, and what the caller can do with it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import View
from services.consultations import repository
from services.consultations.domain import consultation as domain
from services.consultations.domain.consultation import State
from services.consultations.queries.listing import ConsultationHead, head_of
from services.consultations.queries.people import Member, PersonView, party_of, people_of, section_names
from services.consultations.queries.routing import categories
from services.consultations.queries.wording import UNKNOWN_SECTION

_CLOCK_REASONS: dict[State, str] = {
    "open": "担当の課が回答を準備しているため、動いています。",
    "answered": "回答したため、止まっています。",
    "waiting_requester": "相談した人の返事を待っているため、止まっています。",
    "resolved": "解決したため、止まっています。",
}


class Clock(BaseModel):
    """The time for the answer. ``answer_due_at`` is null while it stands; ``reason`` says in Japanese why."""

    running: bool
    answer_due_at: datetime | None
    overdue: bool
    reason: str
    first_replied_at: datetime | None
    first_answered_at: datetime | None


class Entry(BaseModel):
    """One entry of a case. ``opening`` is the question itself; ``note`` is shown to the desks only."""

    entry_id: UUID
    kind: Literal["opening", "answer", "question", "reply", "note"]
    author: PersonView
    body: str
    written_at: datetime


class ConsultationView(ConsultationHead):
    """One case. ``may``: what the caller can do now (assign, answer, question, reply, note, resolve, reopen)."""

    requester: PersonView
    assignee: PersonView | None
    clock: Clock
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: Member | None
    entries: list[Entry]
    mine: bool
    may: list[str]
    version: int = Field(description="give it as `version` of a command, to be refused if the case changed meanwhile")


_ENTRIES = """
SELECT entry_id, kind, author_person_id, body, written_at FROM entries
WHERE municipality = $1 AND consultation_id = $2 AND (kind <> 'note' OR $3)
ORDER BY written_at, entry_id
"""


async def consultation(view: View, caller: Caller, consultation_id: UUID) -> ConsultationView:
    """One case with its entries.

    Raises:
        NotFound: there is none, or it is not for the caller.
    """
    party = party_of(caller)
    stored = await repository.load_consultation(view.connection, view.municipality, consultation_id)
    it = domain.met(stored, party)
    rows = await view.connection.fetch(_ENTRIES, view.municipality, consultation_id, it.notes_seen_by(party))
    concerned = [it.requester_person_id, it.assignee_person_id, it.resolved_by_person_id]
    people = await people_of(view, [*concerned, *(row["author_person_id"] for row in rows)])
    labels = {category.code: category.label for category in await categories(view)}
    # The section the question came from is the case's own, however its requester is transferred later.
    section = (await section_names(view, [it.section_id])).get(it.section_id, UNKNOWN_SECTION)
    requester = people[it.requester_person_id].model_copy(update={"section_id": it.section_id, "section": section})
    return ConsultationView(
        **head_of(it, labels),
        requester=requester,
        assignee=people[it.assignee_person_id] if it.assignee_person_id else None,
        clock=Clock(
            running=it.answer_due_at is not None,
            answer_due_at=it.answer_due_at,
            overdue=it.overdue(view.now),
            reason=_CLOCK_REASONS[it.state],
            first_replied_at=it.first_replied_at,
            first_answered_at=it.first_answered_at,
        ),
        opened_at=it.opened_at,
        changed_at=it.changed_at,
        resolved_at=it.resolved_at,
        resolved_by=(
            Member(person_id=it.resolved_by_person_id, name=people[it.resolved_by_person_id].name)
            if it.resolved_by_person_id
            else None
        ),
        entries=[
            Entry(
                entry_id=row["entry_id"],
                kind=row["kind"],
                author=people[row["author_person_id"]],
                body=row["body"],
                written_at=row["written_at"],
            )
            for row in rows
        ],
        mine=it.requester_person_id == caller.person_id,
        may=domain.open_to(it, party),
        version=it.version,
    )

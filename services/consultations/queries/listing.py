"""The list of cases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from chassis.auth import Caller
from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from services.consultations import repository
from services.consultations.domain.consultation import Consultation, State
from services.consultations.queries.people import Member, names_of, party_of, section_names
from services.consultations.queries.routing import categories
from services.consultations.queries.wording import DESK_LABELS, STATE_LABELS, UNKNOWN_NAME, UNKNOWN_SECTION
from taiwa_contracts.consultations import Desk


class ConsultationHead(BaseModel):
    """What a case is called, whose it is to answer, and how it stands."""

    consultation_id: UUID
    number: str
    title: str
    category: str
    category_label: str
    desk: Desk
    desk_label: str
    state: State
    state_label: str


def head_of(it: Consultation, category_labels: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a :class:`ConsultationHead`."""
    return {
        "consultation_id": it.consultation_id,
        "number": it.number,
        "title": it.title,
        "category": it.category,
        "category_label": category_labels.get(it.category, it.category),
        "desk": it.desk,
        "desk_label": DESK_LABELS[it.desk],
        "state": it.state,
        "state_label": STATE_LABELS[it.state],
    }


class ConsultationSummary(ConsultationHead):
    """One row of a list."""

    requester: Member
    section_name: str
    assignee: Member | None
    opened_at: datetime
    changed_at: datetime
    answer_due_at: datetime | None
    overdue: bool
    mine: bool
    version: int


_LIST = f"""
SELECT {repository.COLUMNS} FROM consultations
WHERE municipality = $1
  AND ($2::uuid IS NULL OR requester_person_id = $2)
  AND ($3::text IS NULL OR desk = $3)
  AND ($4::text IS NULL OR state = $4)
  AND ($5::timestamptz IS NULL OR (opened_at, consultation_id) < ($5, $6::uuid))
ORDER BY opened_at DESC, consultation_id DESC
LIMIT $7
"""


async def list_consultations(
    view: View,
    caller: Caller,
    paging: PageRequest,
    *,
    mine: bool,
    desk: Desk | None,
    state: State | None,
) -> Page[ConsultationSummary]:
    """Cases the caller may know of, the newest first; those outside the desks see their own only."""
    party = party_of(caller)
    opened_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    rows = await view.connection.fetch(
        _LIST,
        view.municipality,
        caller.person_id if mine or not party.desks else None,
        desk,
        state,
        opened_at,
        last_id,
        paging.limit + 1,
    )
    page, cursor = page_of(rows, paging, lambda row: (row["opened_at"].isoformat(), row["consultation_id"]))
    found = [Consultation(**row) for row in page]
    names = await names_of(view, [it.requester_person_id for it in found] + [it.assignee_person_id for it in found])
    sections = await section_names(view, [it.section_id for it in found])
    labels = {category.code: category.label for category in await categories(view)}
    items = [
        ConsultationSummary(
            **head_of(it, labels),
            requester=_member(names, it.requester_person_id),
            section_name=sections.get(it.section_id, UNKNOWN_SECTION),
            assignee=_member(names, it.assignee_person_id) if it.assignee_person_id else None,
            opened_at=it.opened_at,
            changed_at=it.changed_at,
            answer_due_at=it.answer_due_at,
            overdue=it.overdue(view.now),
            mine=it.requester_person_id == caller.person_id,
            version=it.version,
        )
        for it in found
    ]
    return Page(items=items, next_cursor=cursor)


def _member(names: dict[UUID, str], person_id: UUID) -> Member:
    return Member(person_id=person_id, name=names.get(person_id, UNKNOWN_NAME))

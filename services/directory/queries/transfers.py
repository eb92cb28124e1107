"""Transfers, absences and departures, for 総務課 only."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from services.directory.domain.transfers import TransferState
from services.directory.queries.people import AbsenceView

LIST_TRANSFERS = """
SELECT transfer.transfer_id, transfer.person_id, person.name, transfer.from_section_id, transfer.to_section_id,
       origin.name AS from_section_name, target.name AS to_section_name, transfer.post,
       transfer.concurrent_section_ids, transfer.effective_from, transfer.state
FROM transfers AS transfer
JOIN people AS person USING (municipality, person_id)
JOIN sections AS origin ON origin.municipality = transfer.municipality AND origin.section_id = transfer.from_section_id
JOIN sections AS target ON target.municipality = transfer.municipality AND target.section_id = transfer.to_section_id
WHERE transfer.municipality = $1 AND ($2::uuid IS NULL OR transfer.person_id = $2)
  AND ($3::text IS NULL OR transfer.state = $3)
  AND ($4::date IS NULL OR (transfer.effective_from, transfer.transfer_id) < ($4, $5::uuid))
ORDER BY transfer.effective_from DESC, transfer.transfer_id DESC LIMIT $6
"""

LIST_ABSENCES = """
SELECT absence_id, person_id, from_on, until_on FROM absences
WHERE municipality = $1 AND withdrawn_at IS NULL AND ($2::uuid IS NULL OR person_id = $2)
  AND ($3::date IS NULL OR (from_on <= $3 AND (until_on IS NULL OR until_on >= $3)))
  AND ($4::date IS NULL OR (from_on, absence_id) < ($4, $5::uuid))
ORDER BY from_on DESC, absence_id DESC LIMIT $6
"""

LIST_DEPARTURES = """
SELECT departure_id, person_id, effective_from, state FROM departures
WHERE municipality = $1 AND ($2::text IS NULL OR state = $2)
  AND ($3::date IS NULL OR (effective_from, departure_id) < ($3, $4::uuid))
ORDER BY effective_from DESC, departure_id DESC LIMIT $5
"""


class TransferView(BaseModel):
    """A transfer. ``planned``: nobody but 総務課 knows of it yet."""

    transfer_id: UUID
    person_id: UUID
    name: str
    from_section_id: UUID
    from_section_name: str
    to_section_id: UUID
    to_section_name: str
    post: str
    concurrent_section_ids: list[UUID]
    effective_from: date
    state: TransferState


class DepartureView(BaseModel):
    """A departure; ``effective_from`` is the day after the last one."""

    departure_id: UUID
    person_id: UUID
    effective_from: date
    state: str


async def list_transfers(
    view: View, request: PageRequest, *, person_id: UUID | None, state: TransferState | None
) -> Page[TransferView]:
    """Transfers, the latest day first."""
    rows = await view.connection.fetch(
        LIST_TRANSFERS,
        view.municipality,
        person_id,
        state,
        *(request.last(date.fromisoformat, UUID) or (None, None)),
        request.limit + 1,
    )
    page, following = page_of(rows, request, lambda row: (row["effective_from"], row["transfer_id"]))
    return Page(items=[TransferView(**dict(row)) for row in page], next_cursor=following)


async def list_absences(
    view: View, request: PageRequest, *, person_id: UUID | None, on: date | None
) -> Page[AbsenceView]:
    """Absences, the latest first; ``on``: those of that day."""
    rows = await view.connection.fetch(
        LIST_ABSENCES,
        view.municipality,
        person_id,
        on,
        *(request.last(date.fromisoformat, UUID) or (None, None)),
        request.limit + 1,
    )
    page, following = page_of(rows, request, lambda row: (row["from_on"], row["absence_id"]))
    return Page(items=[AbsenceView(**dict(row)) for row in page], next_cursor=following)


async def list_departures(view: View, request: PageRequest, *, state: str | None) -> Page[DepartureView]:
    """Departures, the latest day first."""
    rows = await view.connection.fetch(
        LIST_DEPARTURES,
        view.municipality,
        state,
        *(request.last(date.fromisoformat, UUID) or (None, None)),
        request.limit + 1,
    )
    page, following = page_of(rows, request, lambda row: (row["effective_from"], row["departure_id"]))
    return Page(items=[DepartureView(**dict(row)) for row in page], next_cursor=following)

"""What is shown: programmes, who completed them, which leaders have not yet; 今日の仕事."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import Page, Target, View, WorkItem, page_of
from chassis.http.paging import PageRequest
from services.trainings.domain import ProgrammeUnknown, Source

SEES_ALL = ("hr", "it_policy")
"""Roles that see who completed what; everybody else sees their own completions."""


class ProgrammeView(BaseModel):
    """A programme. The numbers count the leaders in office today."""

    programme_id: UUID
    title: str
    summary: str
    offered_at: datetime
    leaders: int = Field(description="leaders in office today")
    leaders_completed: int = Field(description="of them, who completed the programme at least once")
    completed_on: date | None = Field(description="when the caller last completed it")


class LeaderToGo(BaseModel):
    """A leader in office who has not completed the programme yet: somebody to invite."""

    person_id: UUID
    name: str | None
    section_id: UUID
    section_name: str | None


class ProgrammeDetail(ProgrammeView):
    """One programme; ``leaders_to_go`` is for the desks (hr, it_policy), null for everybody else."""

    leaders_to_go: list[LeaderToGo] | None


class CompletionView(BaseModel):
    """A completion; revoked: it was recorded wrongly."""

    completion_id: UUID
    programme_id: UUID
    programme_title: str
    person_id: UUID
    name: str | None
    completed_on: date
    source: Source
    recorded_by: UUID
    recorded_by_name: str | None
    recorded_at: datetime
    revoked_at: datetime | None
    version: int


_PROGRAMMES = """
WITH in_office AS (
    SELECT DISTINCT person_id FROM leader_terms
    WHERE municipality = $1 AND NOT withdrawn AND from_on <= $2 AND (until_on IS NULL OR until_on >= $2)
), completed AS (
    SELECT programme_id, person_id, max(completed_on) AS completed_on FROM completions
    WHERE municipality = $1 AND revoked_at IS NULL GROUP BY programme_id, person_id
)
SELECT it.programme_id, it.title, it.summary, it.offered_at,
       (SELECT count(*) FROM in_office) AS leaders,
       (SELECT count(*) FROM in_office JOIN completed USING (person_id)
        WHERE completed.programme_id = it.programme_id) AS leaders_completed,
       (SELECT completed_on FROM completed
        WHERE completed.programme_id = it.programme_id AND completed.person_id = $3) AS completed_on
FROM programmes AS it
WHERE it.municipality = $1 AND ($4::uuid IS NULL OR it.programme_id = $4)
ORDER BY it.offered_at DESC, it.programme_id LIMIT 500
"""


async def programmes(view: View, caller: Caller) -> list[ProgrammeView]:
    """The town's programmes, the newest first."""
    rows = await view.connection.fetch(_PROGRAMMES, view.municipality, view.today, caller.person_id, None)
    return [ProgrammeView(**dict(row)) for row in rows]


_TO_GO = """
SELECT DISTINCT ON (section_name.name, person.kana, term.person_id)
       term.person_id, person.name, term.section_id, section_name.name AS section_name
FROM leader_terms AS term
LEFT JOIN people AS person ON person.municipality = term.municipality AND person.person_id = term.person_id
LEFT JOIN LATERAL (
    SELECT name FROM section_names
    WHERE municipality = $1 AND section_id = term.section_id AND from_on <= $2
    ORDER BY version DESC LIMIT 1
) AS section_name ON true
WHERE term.municipality = $1 AND NOT term.withdrawn AND term.from_on <= $2
  AND (term.until_on IS NULL OR term.until_on >= $2)
  AND NOT EXISTS (
      SELECT FROM completions AS it
      WHERE it.municipality = $1 AND it.programme_id = $3 AND it.person_id = term.person_id AND it.revoked_at IS NULL
  )
ORDER BY section_name.name, person.kana, term.person_id
"""


async def programme(view: View, caller: Caller, programme_id: UUID) -> ProgrammeDetail:
    """One programme and, for the desks, the leaders who have not completed it yet.

    Raises:
        ProgrammeUnknown: it is not there.
    """
    row = await view.connection.fetchrow(_PROGRAMMES, view.municipality, view.today, caller.person_id, programme_id)
    if row is None:
        raise ProgrammeUnknown
    to_go = None
    if caller.has(*SEES_ALL):
        rows = await view.connection.fetch(_TO_GO, view.municipality, view.today, programme_id)
        to_go = [LeaderToGo(**dict(each)) for each in rows]
    return ProgrammeDetail(**dict(row), leaders_to_go=to_go)


_COMPLETIONS = """
SELECT it.completion_id, it.programme_id, programme.title AS programme_title, it.person_id, person.name,
       it.completed_on, it.source, it.recorded_by, typist.name AS recorded_by_name, it.recorded_at, it.revoked_at,
       it.version
FROM completions AS it
JOIN programmes AS programme ON programme.municipality = it.municipality AND programme.programme_id = it.programme_id
LEFT JOIN people AS person ON person.municipality = it.municipality AND person.person_id = it.person_id
LEFT JOIN people AS typist ON typist.municipality = it.municipality AND typist.person_id = it.recorded_by
WHERE it.municipality = $1 AND ($2::uuid IS NULL OR it.person_id = $2) AND ($3::uuid IS NULL OR it.programme_id = $3)
  AND ($4::uuid IS NULL OR it.person_id = $4)
  AND ($5::date IS NULL OR (it.completed_on, it.completion_id) < ($5, $6::uuid))
ORDER BY it.completed_on DESC, it.completion_id DESC LIMIT $7
"""


async def completions(
    view: View, caller: Caller, person_id: UUID | None, programme_id: UUID | None, paging: PageRequest
) -> Page[CompletionView]:
    """Completions, the newest first; who is of no desk sees the own ones."""
    only = None if caller.has(*SEES_ALL) else caller.person_id
    day, completion_id = paging.last(date.fromisoformat, UUID) or (None, None)
    rows = await view.connection.fetch(
        _COMPLETIONS, view.municipality, only, programme_id, person_id, day, completion_id, paging.limit + 1
    )
    page, cursor = page_of(rows, paging, lambda row: (row["completed_on"], row["completion_id"]))
    return Page[CompletionView](items=[CompletionView(**dict(row)) for row in page], next_cursor=cursor)


_TO_LEARN = """
SELECT it.programme_id, it.title, it.summary,
       greatest(it.offered_at, min(term.from_on)::timestamp AT TIME ZONE 'Asia/Tokyo') AS since
FROM programmes AS it
JOIN leader_terms AS term
  ON term.municipality = it.municipality AND term.person_id = $2 AND NOT term.withdrawn
 AND term.from_on <= $3 AND (term.until_on IS NULL OR term.until_on >= $3)
WHERE it.municipality = $1 AND NOT EXISTS (
    SELECT FROM completions AS completed
    WHERE completed.municipality = $1 AND completed.programme_id = it.programme_id AND completed.person_id = $2
      AND completed.revoked_at IS NULL
)
GROUP BY it.municipality, it.programme_id
ORDER BY it.offered_at, it.programme_id LIMIT 50
"""


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """A leader in office learns: every programme not completed yet."""
    rows = await view.connection.fetch(_TO_LEARN, view.municipality, caller.person_id, view.today)
    return [_to_learn(row) for row in rows]


def _to_learn(row: asyncpg.Record) -> WorkItem:
    return WorkItem(
        id=f"learn/{row['programme_id']}",
        kind="learn",
        title=f"研修「{row['title']}」を受ける",
        note=row["summary"],
        since=row["since"],
        target=Target(kind="programme", id=str(row["programme_id"])),
    )

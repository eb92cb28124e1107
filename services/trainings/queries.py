"""What the screens show: programmes with how many leaders completed them, completions, what a leader still learns."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import Page, Target, View, WorkItem, page_of
from chassis.http.paging import CursorInvalid, PageRequest
from chassis.refusals import NotFound
from services.trainings.domain import Source

UNKNOWN_NAME = "（氏名の登録なし）"


class ProgrammeView(BaseModel):
    """A programme. The two counts are of today's leaders (現在のリーダー)."""

    programme_id: UUID
    title: str
    summary: str
    leaders: int = Field(description="leaders of today")
    leaders_completed: int = Field(description="those of them who completed it, on any day")


class CompletionView(BaseModel):
    """One completion; ``revoked_at`` says that it does not count."""

    completion_id: UUID
    programme_id: UUID
    programme_title: str
    person_id: UUID
    person_name: str
    completed_on: date
    source: Source
    recorded_at: datetime
    revoked_at: datetime | None


class Recorded(BaseModel):
    """What was recorded."""

    completions: list[CompletionView]


_TODAYS_LEADERS = """
SELECT DISTINCT person_id FROM leader_terms
WHERE municipality = $1 AND NOT withdrawn AND from_on <= $2 AND (until_on IS NULL OR until_on >= $2)
"""

_PROGRAMMES = f"""
WITH leaders AS ({_TODAYS_LEADERS})
SELECT programme.programme_id, programme.title, programme.summary,
       (SELECT count(*) FROM leaders) AS leaders,
       (SELECT count(*) FROM leaders WHERE EXISTS (
            SELECT FROM completions
            WHERE municipality = $1 AND programme_id = programme.programme_id AND revoked_at IS NULL
              AND completions.person_id = leaders.person_id)) AS leaders_completed
FROM programmes AS programme
WHERE programme.municipality = $1 AND ($3::uuid IS NULL OR programme.programme_id > $3)
  AND ($5::uuid IS NULL OR programme.programme_id = $5)
ORDER BY programme.programme_id LIMIT $4
"""

_COMPLETIONS = """
SELECT completion.completion_id, completion.programme_id, programme.title AS programme_title, completion.person_id,
       coalesce(person.name, $6) AS person_name, completion.completed_on, completion.source, completion.recorded_at,
       completion.revoked_at
FROM completions AS completion
JOIN programmes AS programme USING (municipality, programme_id)
LEFT JOIN people AS person USING (municipality, person_id)
WHERE completion.municipality = $1
  AND ($2::uuid IS NULL OR completion.person_id = $2)
  AND ($3::uuid IS NULL OR completion.programme_id = $3)
  AND ($4::date IS NULL OR (completion.completed_on, completion.completion_id) < ($4, $5::uuid))
  AND ($8::uuid[] IS NULL OR completion.completion_id = ANY ($8))
ORDER BY completion.completed_on DESC, completion.completion_id DESC LIMIT $7
"""

_STILL_TO_LEARN = f"""
SELECT programme.programme_id, programme.title, programme.added_at
FROM programmes AS programme
WHERE programme.municipality = $1
  AND $3 IN ({_TODAYS_LEADERS})
  AND NOT EXISTS (
      SELECT FROM completions
      WHERE municipality = $1 AND programme_id = programme.programme_id AND person_id = $3 AND revoked_at IS NULL)
ORDER BY programme.programme_id LIMIT 20
"""


async def programmes(view: View, paging: PageRequest) -> Page[ProgrammeView]:
    """All programmes, the oldest first: the order in which they build on each other."""
    after = _ids(paging, 1)[0] if paging.after else None
    rows = await view.connection.fetch(_PROGRAMMES, view.municipality, view.today, after, paging.limit + 1, None)
    page, cursor = page_of(rows, paging, lambda row: [row["programme_id"]])
    return Page(items=[ProgrammeView(**row) for row in page], next_cursor=cursor)


async def programme(view: View, programme_id: UUID) -> ProgrammeView:
    """One programme.

    Raises:
        NotFound: not in this municipality.
    """
    row = await view.connection.fetchrow(_PROGRAMMES, view.municipality, view.today, None, 1, programme_id)
    if row is None:
        raise NotFound
    return ProgrammeView(**row)


async def completions(
    view: View, paging: PageRequest, *, person_id: UUID | None, programme_id: UUID | None
) -> Page[CompletionView]:
    """Completions, the newest first; revoked ones too, marked."""
    day, last = None, None
    if paging.after:
        try:
            day, last = date.fromisoformat(paging.after[0]), UUID(paging.after[1])
        except (ValueError, IndexError) as error:
            raise CursorInvalid from error
    rows = await view.connection.fetch(
        _COMPLETIONS, view.municipality, person_id, programme_id, day, last, UNKNOWN_NAME, paging.limit + 1, None
    )
    page, cursor = page_of(rows, paging, lambda row: [row["completed_on"], row["completion_id"]])
    return Page(items=[CompletionView(**row) for row in page], next_cursor=cursor)


async def completions_by_id(view: View, ids: list[UUID]) -> list[CompletionView]:
    """These completions, as just recorded."""
    rows = await view.connection.fetch(
        _COMPLETIONS, view.municipality, None, None, None, None, UNKNOWN_NAME, len(ids), ids
    )
    return [CompletionView(**row) for row in rows]


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """What a leader of today has not completed yet."""
    rows = await view.connection.fetch(_STILL_TO_LEARN, view.municipality, view.today, caller.person_id)
    return [
        WorkItem(
            id=f"learn/{row['programme_id']}",
            kind="learn",
            title=row["title"],
            note="DX推進リーダーの研修です。",
            since=row["added_at"],
            target=Target(kind="programme", id=str(row["programme_id"])),
        )
        for row in rows
    ]


def _ids(paging: PageRequest, count: int) -> list[UUID]:
    try:
        ids = [UUID(value) for value in paging.after or []]
    except ValueError as error:
        raise CursorInvalid from error
    if len(ids) != count:
        raise CursorInvalid
    return ids

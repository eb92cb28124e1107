"""People as of today. Kinds of employment and past absences are for 総務課 only; numbers for who administers, too.

Colleagues see that somebody is away, and from when: never why, since nobody records that.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from asyncpg import Record
from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from services.directory.domain import transfers
from services.directory.domain.people import PersonUnknown

SELECT_PEOPLE = """
SELECT person.person_id, person.name, person.kana, person.mail, person.section_id, section.name AS section_name,
       person.post, person.full_time, person.employment_kind, person.concurrent_section_ids, person.joined_on,
       coalesce(person.left_on <= $2, false) AS left,
       ARRAY(SELECT number FROM staff_numbers AS held
             WHERE held.municipality = $1 AND held.person_id = person.person_id AND held.until_on IS NULL) AS numbers,
       away.from_on AS away_from_on, away.until_on AS away_until_on
FROM people AS person JOIN sections AS section USING (municipality, section_id)
LEFT JOIN LATERAL (
    SELECT from_on, until_on FROM absences
    WHERE municipality = $1 AND person_id = person.person_id AND withdrawn_at IS NULL
      AND (until_on IS NULL OR until_on >= $2)
    ORDER BY from_on, absence_id LIMIT 1
) AS away ON true
WHERE person.municipality = $1
"""

LIST_PEOPLE = f"""
{SELECT_PEOPLE}
  AND ($3 OR person.left_on IS NULL OR person.left_on > $2)
  AND ($4::uuid IS NULL OR person.section_id = $4 OR $4 = ANY (person.concurrent_section_ids))
  AND ($5::text IS NULL OR position($5 in person.name) > 0 OR position($5 in replace(person.name, ' ', '')) > 0
       OR position($5 in person.kana) > 0 OR position($5 in replace(person.kana, ' ', '')) > 0
       OR ($9 AND EXISTS (SELECT FROM staff_numbers AS held WHERE held.municipality = $1
                          AND held.person_id = person.person_id AND held.number = $5)))
  AND (away.from_on IS NOT NULL OR NOT $10)
  AND ($6::text IS NULL OR (person.kana, person.person_id) > ($6, $7::uuid))
ORDER BY person.kana, person.person_id LIMIT $8
"""

ONE_PERSON = f"{SELECT_PEOPLE} AND person.person_id = $3"

SELECT_POSTINGS = """
SELECT posting.from_on, posting.until_on, posting.section_id, section.name AS section_name, posting.post,
       posting.concurrent_section_ids
FROM postings AS posting JOIN sections AS section USING (municipality, section_id)
WHERE posting.municipality = $1 AND posting.person_id = $2 AND posting.superseded_at IS NULL
ORDER BY posting.from_on
"""

SELECT_ABSENCES = """
SELECT absence_id, person_id, from_on, until_on FROM absences
WHERE municipality = $1 AND person_id = $2 AND withdrawn_at IS NULL ORDER BY from_on
"""


class PersonView(BaseModel):
    """Somebody. What the caller may not know is null."""

    person_id: UUID
    name: str
    kana: str
    mail: str | None
    section_id: UUID
    section_name: str
    post: str
    concurrent_section_ids: list[UUID]
    left: bool
    absence: str | None = Field(description="7月1日から不在: the absence of today, or the next one; null: here")
    full_time: bool | None = Field(description="for hr only")
    employment_kind: str | None = Field(description="for hr only")
    joined_on: date | None = Field(description="for hr only")
    numbers: list[str] | None = Field(description="staff numbers held today; for hr and admin only")


class PostingView(BaseModel):
    """Where somebody belonged from when to when."""

    from_on: date
    until_on: date | None
    section_id: UUID
    section_name: str
    post: str
    concurrent_section_ids: list[UUID]


class AbsenceView(BaseModel):
    """From when to when somebody is away, both inclusive."""

    absence_id: UUID
    person_id: UUID
    from_on: date
    until_on: date | None


class PersonDetails(PersonView):
    """Somebody with their history and absences, for hr; null for others."""

    postings: list[PostingView] | None = Field(description="for hr only")
    absences: list[AbsenceView] | None = Field(description="for hr only")


def _for(caller: Caller, row: Record) -> dict[str, object]:
    absence = transfers.away(row["away_from_on"], row["away_until_on"]) if row["away_from_on"] else None
    hidden = set[str]()
    if not caller.has("hr"):
        hidden |= {"full_time", "employment_kind", "joined_on"}
    if not caller.has("hr", "admin"):
        hidden.add("numbers")
    return {name: None if name in hidden else value for name, value in row.items()} | {"absence": absence}


async def list_people(
    view: View, caller: Caller, request: PageRequest, *, q: str | None, section_id: UUID | None, left: bool, away: bool
) -> Page[PersonView]:
    """People by reading: of a section (兼務 too), whose name or reading holds ``q``.

    ``left``: also who has left; ``away``: only who is away today or will be.
    """
    rows = await view.connection.fetch(
        LIST_PEOPLE,
        view.municipality,
        view.today,
        left,
        section_id,
        q,
        *(request.last(str, UUID) or (None, None)),
        request.limit + 1,
        caller.has("hr", "admin"),
        away,
    )
    page, following = page_of(rows, request, lambda row: (row["kana"], row["person_id"]))
    return Page(items=[PersonView.model_validate(_for(caller, row)) for row in page], next_cursor=following)


async def one_person(view: View, caller: Caller, person_id: UUID) -> PersonDetails:
    """One person.

    Raises:
        PersonUnknown: there is none.
    """
    row = await view.connection.fetchrow(ONE_PERSON, view.municipality, view.today, person_id)
    if row is None:
        raise PersonUnknown
    postings = absences = None
    if caller.has("hr"):
        postings = [dict(each) for each in await view.connection.fetch(SELECT_POSTINGS, view.municipality, person_id)]
        absences = [dict(each) for each in await view.connection.fetch(SELECT_ABSENCES, view.municipality, person_id)]
    return PersonDetails.model_validate({**_for(caller, row), "postings": postings, "absences": absences})

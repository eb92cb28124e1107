"""Who is who: the caller as a party of cases, people with what they lead, names of people and sections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from chassis.auth import Caller
from chassis.http import View
from services.consultations.domain.consultation import Party
from services.consultations.domain.routing import DESKS
from services.consultations.queries.wording import UNKNOWN_NAME, UNKNOWN_SECTION


class Member(BaseModel):
    """Somebody at a desk."""

    person_id: UUID
    name: str


class Led(BaseModel):
    """A section whose leader the person is. ``until_on`` inclusive; null: serves on until a successor is chosen."""

    section_id: UUID
    section_name: str
    from_on: date
    until_on: date | None


class PersonView(BaseModel):
    """Who it is; ``leader_of`` is empty for somebody who leads no section today."""

    person_id: UUID
    name: str
    post: str | None = None
    section_id: UUID | None = None
    section: str = ""
    leader_of: list[Led] = []


_SECTION_NAMES = """
SELECT DISTINCT ON (section_id) section_id, name FROM section_names
WHERE municipality = $1 AND section_id = ANY($2)
ORDER BY section_id, (from_on <= $3) DESC, CASE WHEN from_on <= $3 THEN from_on END DESC, from_on
"""

_PEOPLE = """
SELECT person_id, name, post, section_id FROM people WHERE municipality = $1 AND person_id = ANY($2)
"""

_LED = """
SELECT person_id, section_id, from_on, until_on FROM leader_terms
WHERE municipality = $1 AND person_id = ANY($2) AND NOT withdrawn
  AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
ORDER BY from_on, appointment_id
"""


def party_of(caller: Caller) -> Party:
    """The caller as a party of cases: the desks are roles of the same names."""
    return Party(caller.person_id, frozenset(desk for desk in DESKS if desk in caller.roles))


async def _rows_of_people(view: View, ids: Sequence[UUID | None]) -> dict[UUID, asyncpg.Record]:
    wanted = {person_id for person_id in ids if person_id is not None}
    rows = await view.connection.fetch(_PEOPLE, view.municipality, list(wanted)) if wanted else []
    return {row["person_id"]: row for row in rows}


async def names_of(view: View, ids: Sequence[UUID | None]) -> dict[UUID, str]:
    """The names of those asked for who are known here."""
    return {key: row["name"] or UNKNOWN_NAME for key, row in (await _rows_of_people(view, ids)).items()}


async def section_names(view: View, ids: Sequence[UUID | None]) -> dict[UUID, str]:
    """What the sections asked for are called today; one of the future by its first name."""
    wanted = list({section_id for section_id in ids if section_id is not None})
    rows = await view.connection.fetch(_SECTION_NAMES, view.municipality, wanted, view.today) if wanted else []
    return {row["section_id"]: row["name"] for row in rows}


async def people_of(view: View, ids: Sequence[UUID | None]) -> dict[UUID, PersonView]:
    """Everybody asked for, known or not, with what they lead today."""
    wanted = list({person_id for person_id in ids if person_id is not None})
    rows = await _rows_of_people(view, wanted)
    led = await view.connection.fetch(_LED, view.municipality, wanted, view.today)
    sections = await section_names(
        view, [row["section_id"] for row in rows.values()] + [row["section_id"] for row in led]
    )
    people = {person_id: PersonView(person_id=person_id, name=UNKNOWN_NAME) for person_id in wanted}
    for person_id, row in rows.items():
        people[person_id] = PersonView(
            person_id=person_id,
            name=row["name"] or UNKNOWN_NAME,
            post=row["post"],
            section_id=row["section_id"],
            section=sections.get(row["section_id"], UNKNOWN_SECTION),
        )
    for row in led:
        people[row["person_id"]].leader_of.append(
            Led(
                section_id=row["section_id"],
                section_name=sections.get(row["section_id"], UNKNOWN_SECTION),
                from_on=row["from_on"],
                until_on=row["until_on"],
            )
        )
    return people

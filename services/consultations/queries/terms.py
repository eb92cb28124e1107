"""Who leads which section, as this service knows it."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.http import View
from services.consultations.queries.people import names_of, section_names
from services.consultations.queries.wording import UNKNOWN_NAME, UNKNOWN_SECTION


class LeaderView(BaseModel):
    """Who leads a section on a day, as this service knows it."""

    appointment_id: UUID
    person_id: UUID
    name: str
    post: str | None
    section_id: UUID
    section_name: str
    head_person_id: UUID | None
    head_name: str | None
    from_on: date
    until_on: date | None


_LEADERS = """
SELECT term.appointment_id, term.person_id, term.section_id, term.from_on, term.until_on,
       person.name, person.post, head.head_person_id
FROM leader_terms AS term
LEFT JOIN sections AS section USING (municipality, section_id)
LEFT JOIN people AS person USING (municipality, person_id)
LEFT JOIN LATERAL (
    SELECT head_person_id FROM section_heads
    WHERE municipality = term.municipality AND section_id = term.section_id AND from_on <= $2
    ORDER BY from_on DESC LIMIT 1
) AS head ON true
WHERE term.municipality = $1 AND NOT term.withdrawn
  AND term.from_on <= $2 AND (term.until_on IS NULL OR term.until_on >= $2)
  AND ($3::uuid IS NULL OR term.section_id = $3)
ORDER BY section.display_order NULLS LAST, term.section_id, person.kana COLLATE "C" NULLS LAST, term.appointment_id
"""


async def leaders(view: View, section_id: UUID | None) -> list[LeaderView]:
    """Who leads which section today, in the order of the sections."""
    rows = await view.connection.fetch(_LEADERS, view.municipality, view.today, section_id)
    sections = await section_names(view, [row["section_id"] for row in rows])
    heads = await names_of(view, [row["head_person_id"] for row in rows])
    return [
        LeaderView(
            appointment_id=row["appointment_id"],
            person_id=row["person_id"],
            name=row["name"] or UNKNOWN_NAME,
            post=row["post"],
            section_id=row["section_id"],
            section_name=sections.get(row["section_id"], UNKNOWN_SECTION),
            head_person_id=row["head_person_id"],
            head_name=heads.get(row["head_person_id"]) if row["head_person_id"] else None,
            from_on=row["from_on"],
            until_on=row["until_on"],
        )
        for row in rows
    ]

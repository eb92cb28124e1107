"""Categories, and the desks they go to with the people who belong to them."""

from __future__ import annotations

from pydantic import BaseModel

from chassis.http import View
from services.consultations import repository
from services.consultations.domain.routing import DESKS, categories_of
from services.consultations.queries.people import Member
from services.consultations.queries.wording import DESK_LABELS, UNKNOWN_NAME
from taiwa_contracts.consultations import Desk


class CategoryView(BaseModel):
    """What a case can be about."""

    code: str
    label: str
    desk: Desk
    desk_label: str


class DeskView(BaseModel):
    """A desk and who belongs to it today."""

    desk: Desk
    label: str
    people: list[Member]


_MEMBERS = """
SELECT DISTINCT member.desk, member.person_id, person.name, person.kana
FROM desk_members AS member
LEFT JOIN people AS person USING (municipality, person_id)
WHERE member.municipality = $1 AND member.from_on <= $2 AND (member.until_on IS NULL OR member.until_on >= $2)
  AND NOT coalesce(person.has_left, false)
ORDER BY member.desk, person.kana NULLS LAST, member.person_id
"""


async def categories(view: View) -> list[CategoryView]:
    """The categories of the town, in order."""
    return [
        CategoryView(code=it.code, label=it.label, desk=it.desk, desk_label=DESK_LABELS[it.desk])
        for it in categories_of(await repository.own_categories(view.connection, view.municipality))
    ]


async def desks(view: View) -> list[DeskView]:
    """Both desks with the people who belong to them today."""
    rows = await view.connection.fetch(_MEMBERS, view.municipality, view.today)
    return [
        DeskView(
            desk=desk,
            label=DESK_LABELS[desk],
            people=[
                Member(person_id=row["person_id"], name=row["name"] or UNKNOWN_NAME)
                for row in rows
                if row["desk"] == desk
            ],
        )
        for desk in DESKS
    ]

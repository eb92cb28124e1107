"""People of the town, and who is away."""

from __future__ import annotations

from pydantic import BaseModel

from services.portal.gateway import Services, part
from services.portal.queries.parts import Listed


class Employee(BaseModel):
    """A person of the town."""

    person_id: str
    name: str
    kana: str | None = None
    section_id: str | None = None
    section_name: str | None = None
    post: str | None = None
    absence: str | None = None


class PersonCard(BaseModel):
    """A person's name."""

    person_id: str
    name: str


async def absences(services: Services) -> dict[str, str]:
    """Who is away or will be, in colleagues' words (「7月1日から不在」), by person; of those whom the visitor may see.

    Nobody where directory is silent: a page about something else does without.
    """
    asked = part(services.glance("directory", "/people", Listed[Employee], {"away": "true", "limit": 200}))
    told = (await asked).content
    return {each.person_id: each.absence for each in told.items if each.absence} if told else {}

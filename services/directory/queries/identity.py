"""Who somebody is, where they belong and what they may do today."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Connection
from services.directory.domain.access import roles_of

SELECT_IDENTITY = """
SELECT person.person_id, person.name, person.section_id, section.name AS section_name, person.post,
       town.name AS town_name, town.fictional,
       ARRAY(SELECT role FROM role_grants AS granted
             WHERE granted.municipality = $1 AND granted.person_id = $2 AND granted.held) AS granted,
       EXISTS (SELECT FROM leader_terms AS term
               WHERE term.municipality = $1 AND term.person_id = $2 AND NOT term.withdrawn
                 AND term.from_on <= $3 AND (term.until_on IS NULL OR term.until_on >= $3)) AS leads,
       EXISTS (SELECT FROM section_heads AS head
               WHERE head.municipality = $1 AND head.person_id = $2
                 AND head.from_on <= $3 AND (head.until_on IS NULL OR head.until_on >= $3)) AS heads
FROM people AS person
JOIN sections AS section USING (municipality, section_id)
JOIN municipalities AS town USING (municipality)
WHERE person.municipality = $1 AND person.person_id = $2 AND (person.left_on IS NULL OR person.left_on > $3)
"""


class PersonBrief(BaseModel):
    """Somebody, short."""

    person_id: UUID
    name: str
    section_id: UUID
    section_name: str
    post: str


class MunicipalityBrief(BaseModel):
    """The town."""

    code: str
    name: str
    fictional: bool


class Identity(BaseModel):
    """Somebody and their roles of today."""

    person: PersonBrief
    roles: list[str]
    municipality: MunicipalityBrief


async def identity_of(connection: Connection, municipality: str, person_id: UUID, today: date) -> Identity | None:
    """Somebody who works for the town today; ``None``: nobody, or somebody who has left."""
    row = await connection.fetchrow(SELECT_IDENTITY, municipality, person_id, today)
    if row is None:
        return None
    return Identity(
        person=PersonBrief(
            person_id=row["person_id"],
            name=row["name"],
            section_id=row["section_id"],
            section_name=row["section_name"],
            post=row["post"],
        ),
        roles=sorted(roles_of(set(row["granted"]), leads=row["leads"], heads=row["heads"])),
        municipality=MunicipalityBrief(code=municipality, name=row["town_name"], fictional=row["fictional"]),
    )

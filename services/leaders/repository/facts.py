"""Directory's facts as decisions need them: who belongs where, who heads what, which rules hold, on a given day."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.refusals import Article
from chassis.transaction import Connection
from services.leaders.domain.rules import Rule, TownRules


@dataclass(frozen=True, slots=True)
class Place:
    """To which sections a person belongs on a day. Not known to directory: to none."""

    section_ids: frozenset[UUID]
    has_left: bool


_RULES = """
SELECT DISTINCT ON (rule) rule, value, article, article_text, fictional
FROM rules WHERE municipality = $1 AND from_on <= $2 AND (until_on IS NULL OR until_on >= $2)
ORDER BY rule, version DESC
"""


async def rules_on(connection: Connection, municipality: str, day: date) -> TownRules:
    """The town's rules in force on a day."""
    rows = await connection.fetch(_RULES, municipality, day)
    return TownRules(
        {
            row["rule"]: Rule(
                json.loads(row["value"]),
                Article(row["article"], row["article_text"], row["fictional"]) if row["article"] else None,
            )
            for row in rows
        }
    )


_PLACES = """
SELECT person_id, section_id, concurrent_section_ids
FROM memberships
WHERE municipality = $1 AND person_id = ANY($2) AND NOT reverted
  AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
"""


async def places_on(connection: Connection, municipality: str, people: Sequence[UUID], day: date) -> dict[UUID, Place]:
    """Where each of the people belongs on a day."""
    known = {
        row["person_id"]: Place(
            frozenset({row["section_id"], *row["concurrent_section_ids"]} - {None}), row["section_id"] is None
        )
        for row in await connection.fetch(_PLACES, municipality, people, day)
    }
    return {person: known.get(person, Place(frozenset(), has_left=False)) for person in people}


_HEAD = """
SELECT person_id FROM section_heads
WHERE municipality = $1 AND section_id = $2 AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
"""


async def head_on(connection: Connection, municipality: str, section_id: UUID, day: date) -> UUID | None:
    """Who heads a section on a day; ``None``: vacant."""
    head: UUID | None = await connection.fetchval(_HEAD, municipality, section_id, day)
    return head


_SECTIONS = """
SELECT section.section_id, head.person_id AS head_person_id
FROM sections AS section
LEFT JOIN section_attributes AS attributes
       ON attributes.municipality = section.municipality AND attributes.section_id = section.section_id
      AND attributes.from_on <= $2 AND (attributes.until_on IS NULL OR attributes.until_on >= $2)
LEFT JOIN section_heads AS head
       ON head.municipality = section.municipality AND head.section_id = section.section_id
      AND head.from_on <= $3 AND (head.until_on IS NULL OR head.until_on >= $3)
WHERE section.municipality = $1 AND section.from_on <= $2 AND (section.until_on IS NULL OR section.until_on >= $2)
ORDER BY attributes.display_order, section.section_id
"""


async def sections_on(
    connection: Connection, municipality: str, day: date, *, heads_on: date
) -> dict[UUID, UUID | None]:
    """Every section that exists on a day, with its head on another (the present one answers for a year to come)."""
    rows = await connection.fetch(_SECTIONS, municipality, day, heads_on)
    return {row["section_id"]: row["head_person_id"] for row in rows}


async def fiscal_year_is_open(connection: Connection, municipality: str, fiscal_year: int) -> bool:
    """Whether directory has opened the fiscal year."""
    sql = "SELECT true FROM fiscal_years WHERE municipality = $1 AND fiscal_year = $2"
    return bool(await connection.fetchval(sql, municipality, fiscal_year))


async def closed_days(connection: Connection, municipality: str) -> frozenset[date]:
    """All closed days that are known (閉庁日)."""
    sql = "SELECT unnest(closed_days) AS day FROM calendars WHERE municipality = $1"
    return frozenset(row["day"] for row in await connection.fetch(sql, municipality))

"""Sections, their names and their heads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from chassis.periods import superseded
from chassis.transaction import Connection
from services.directory.domain.sections import Headship, Section

LOCK_SECTIONS = """
SELECT section_id, version, code, name, kind, appointing_authority, display_order, created_on, closed_on,
       head_person_id, head_post, awaited_head_number
FROM sections
WHERE municipality = $1 AND ($2::uuid[] IS NULL OR section_id = ANY($2))
ORDER BY section_id FOR UPDATE
"""

UPSERT_SECTIONS = """
INSERT INTO sections AS kept (municipality, section_id, version, code, name, kind, appointing_authority, display_order,
                              created_on, closed_on, head_person_id, head_post, awaited_head_number)
SELECT $1, s.* FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[],
                           $9::date[], $10::date[], $11::uuid[], $12::text[], $13::text[]) AS s
ON CONFLICT (municipality, section_id) DO UPDATE
SET version = excluded.version, code = excluded.code, name = excluded.name, kind = excluded.kind,
    appointing_authority = excluded.appointing_authority, display_order = excluded.display_order,
    closed_on = excluded.closed_on, head_person_id = excluded.head_person_id, head_post = excluded.head_post,
    awaited_head_number = excluded.awaited_head_number
"""

SUPERSEDED_NAMES = superseded("section_names", "section_id")

INSERT_NAMES = """
INSERT INTO section_names (municipality, section_id, from_on, name)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::text[])
"""

SUPERSEDED_ATTRIBUTES = superseded("section_attributes", "section_id")

INSERT_ATTRIBUTES = """
INSERT INTO section_attributes (municipality, section_id, from_on, kind, appointing_authority, display_order)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::text[], $5::text[], $6::int[])
"""

DROP_LATER_HEADS = """
DELETE FROM section_heads USING unnest($2::uuid[], $3::date[]) AS w (section_id, from_on)
WHERE section_heads.municipality = $1 AND section_heads.section_id = w.section_id AND section_heads.from_on >= w.from_on
"""

END_EARLIER_HEADS = """
UPDATE section_heads SET until_on = w.from_on - 1, ended_by_transfer_id = w.transfer_id
FROM unnest($2::uuid[], $3::date[], $4::uuid[]) AS w (section_id, from_on, transfer_id)
WHERE section_heads.municipality = $1 AND section_heads.section_id = w.section_id
  AND (section_heads.until_on IS NULL OR section_heads.until_on >= w.from_on)
"""

INSERT_HEADS = """
INSERT INTO section_heads (municipality, section_id, from_on, person_id, post)
SELECT $1, w.section_id, w.from_on, w.person_id, w.post
FROM unnest($2::uuid[], $3::date[], $4::uuid[], $5::text[]) AS w (section_id, from_on, person_id, post)
WHERE w.person_id IS NOT NULL
"""

SELECT_HEADS = """
SELECT section_id, person_id, post, from_on FROM section_heads
WHERE municipality = $1 AND section_id = ANY($2::uuid[]) AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
"""

SELECT_VACANT_SINCE = """
SELECT section_id, max(until_on) + 1 AS since FROM section_heads
WHERE municipality = $1 AND section_id = ANY($2::uuid[]) AND until_on < $3 GROUP BY section_id
"""

SELECT_HEADED = """
SELECT section_id, person_id, post FROM section_heads
WHERE municipality = $1 AND person_id = ANY($2::uuid[]) AND (until_on IS NULL OR until_on >= $3)
"""

SELECT_ENDED_BY = """
SELECT section_id, person_id, post, from_on FROM section_heads
WHERE municipality = $1 AND ended_by_transfer_id = $2
"""

COUNT_BELONGING = """
SELECT (SELECT count(*) FROM people
        WHERE municipality = $1 AND (section_id = $2 OR $2 = ANY (concurrent_section_ids))
          AND (left_on IS NULL OR left_on > $3))
     + (SELECT count(*) FROM transfers
        WHERE municipality = $1 AND state = 'planned' AND (to_section_id = $2 OR $2 = ANY (concurrent_section_ids)))
"""


def _section(row: Any) -> Section:
    return Section(**dict(row))


async def lock_sections(
    connection: Connection, municipality: str, section_ids: Sequence[UUID] | None = None
) -> dict[UUID, Section]:
    """Sections by id, locked in one order; ``None``: all of the town, closed ones too."""
    rows = await connection.fetch(LOCK_SECTIONS, municipality, list(section_ids) if section_ids is not None else None)
    return {row["section_id"]: _section(row) for row in rows}


async def lock_section(connection: Connection, municipality: str, section_id: UUID) -> Section | None:
    """One section, locked."""
    return (await lock_sections(connection, municipality, [section_id])).get(section_id)


async def save_sections(connection: Connection, municipality: str, sections: Sequence[Section]) -> None:
    """Insert or update sections as they are given."""
    if not sections:
        return
    await connection.execute(
        UPSERT_SECTIONS,
        municipality,
        [each.section_id for each in sections],
        [each.version for each in sections],
        [each.code for each in sections],
        [each.name for each in sections],
        [each.kind for each in sections],
        [each.appointing_authority for each in sections],
        [each.display_order for each in sections],
        [each.created_on for each in sections],
        [each.closed_on for each in sections],
        [each.head_person_id for each in sections],
        [each.head_post for each in sections],
        [each.awaited_head_number for each in sections],
    )


async def save_names(connection: Connection, municipality: str, sections: Sequence[Section], from_on: date) -> None:
    """Note the name each section bears from a day on; names noted for later days never held."""
    begun = _begun(municipality, sections, from_on)
    await connection.execute(SUPERSEDED_NAMES, *begun)
    await connection.execute(INSERT_NAMES, *begun, [each.name for each in sections])


async def save_attributes(
    connection: Connection, municipality: str, sections: Sequence[Section], from_on: date
) -> None:
    """Note the kind, 任命権者 and order each section has from a day on; those noted for later days never held."""
    begun = _begun(municipality, sections, from_on)
    await connection.execute(SUPERSEDED_ATTRIBUTES, *begun)
    await connection.execute(
        INSERT_ATTRIBUTES,
        *begun,
        [each.kind for each in sections],
        [each.appointing_authority for each in sections],
        [each.display_order for each in sections],
    )


def _begun(municipality: str, sections: Sequence[Section], from_on: date) -> tuple[list[str], list[UUID], list[date]]:
    return [municipality] * len(sections), [each.section_id for each in sections], [from_on] * len(sections)


async def save_headships(connection: Connection, municipality: str, headships: Sequence[Headship]) -> None:
    """From its day on each headship holds; what was recorded for later days is dropped."""
    sections = [each.section_id for each in headships]
    days = [each.effective_from for each in headships]
    await connection.execute(DROP_LATER_HEADS, municipality, sections, days)
    await connection.execute(
        END_EARLIER_HEADS, municipality, sections, days, [each.ended_by_transfer_id for each in headships]
    )
    await connection.execute(
        INSERT_HEADS,
        municipality,
        sections,
        days,
        [each.person_id for each in headships],
        [each.post for each in headships],
    )


async def heads_on(
    connection: Connection, municipality: str, section_ids: Sequence[UUID], on: date
) -> dict[UUID, Headship]:
    """Who heads the sections on a day; a section that is missing has no head."""
    rows = await connection.fetch(SELECT_HEADS, municipality, list(section_ids), on)
    return {
        row["section_id"]: Headship(row["section_id"], row["person_id"], row["post"], row["from_on"]) for row in rows
    }


async def vacant_since(
    connection: Connection, municipality: str, section_ids: Sequence[UUID], on: date
) -> dict[UUID, date]:
    """Since when the sections that have no head on a day have had none; a section that never had one is missing."""
    rows = await connection.fetch(SELECT_VACANT_SINCE, municipality, list(section_ids), on)
    return {row["section_id"]: row["since"] for row in rows}


async def headed_by(
    connection: Connection, municipality: str, person_ids: Sequence[UUID], on: date
) -> list[tuple[UUID, UUID, str]]:
    """(section, person, post) of every headship the people hold on that day or later."""
    rows = await connection.fetch(SELECT_HEADED, municipality, list(person_ids), on)
    return [(row["section_id"], row["person_id"], row["post"]) for row in rows]


async def ended_by(connection: Connection, municipality: str, transfer_id: UUID) -> list[Headship]:
    """Headships that ended because of a transfer, each from the day it had begun."""
    rows = await connection.fetch(SELECT_ENDED_BY, municipality, transfer_id)
    return [Headship(row["section_id"], row["person_id"], row["post"], row["from_on"]) for row in rows]


async def count_belonging(connection: Connection, municipality: str, section_id: UUID, on: date) -> int:
    """People who belong to a section, and planned transfers to it."""
    count: int = await connection.fetchval(COUNT_BELONGING, municipality, section_id, on)
    return count

"""Coverage of sections. The row's lock makes two endings in one section count one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from chassis.transaction import Connection
from services.leaders.domain.coverage import Coverage, Period

_ADD_MISSING = """
INSERT INTO coverages (municipality, section_id, covered, version)
SELECT $1, it.section_id, false, 0 FROM unnest($2::uuid[]) AS it (section_id)
ORDER BY it.section_id
ON CONFLICT DO NOTHING
"""

_LOAD = """
SELECT section_id, covered, since_on, version FROM coverages
WHERE municipality = $1 AND section_id = ANY($2) ORDER BY section_id FOR UPDATE
"""

_SAID = "SELECT section_id, covered, since_on, version FROM coverages WHERE municipality = $1 AND section_id = ANY($2)"


async def load_coverages(connection: Connection, municipality: str, section_ids: Sequence[UUID]) -> list[Coverage]:
    """Coverage of each section, locked; one that has none yet gets version 0."""
    await connection.execute(_ADD_MISSING, municipality, section_ids)
    return [
        Coverage(row["section_id"], row["covered"], row["since_on"], row["version"])
        for row in await connection.fetch(_LOAD, municipality, section_ids)
    ]


async def said_of(connection: Connection, municipality: str, section_ids: Sequence[UUID]) -> dict[UUID, Coverage]:
    """What was last said of each section, to be read only; one of which nothing was said has version 0."""
    rows = await connection.fetch(_SAID, municipality, section_ids)
    return {section: Coverage(section) for section in section_ids} | {
        row["section_id"]: Coverage(row["section_id"], row["covered"], row["since_on"], row["version"]) for row in rows
    }


async def sections_ever_covered(connection: Connection, municipality: str) -> list[UUID]:
    """Sections of which something was said."""
    sql = "SELECT section_id FROM coverages WHERE municipality = $1"
    return [row["section_id"] for row in await connection.fetch(sql, municipality)]


_PERIODS = """
SELECT section_id, starts_on,
       CASE WHEN ended_from IS NOT NULL THEN ended_from - 1 WHEN serves_on_from IS NOT NULL THEN NULL ELSE ends_on END
       AS last_day
FROM appointments WHERE municipality = $1 AND section_id = ANY($2) AND NOT withdrawn
"""


async def periods_of(
    connection: Connection, municipality: str, section_ids: Sequence[UUID]
) -> dict[UUID, list[Period]]:
    """When each section had leaders; to be read after :func:`load_coverages`, so that the lock covers it."""
    periods: dict[UUID, list[Period]] = {section: [] for section in section_ids}
    for row in await connection.fetch(_PERIODS, municipality, section_ids):
        periods[row["section_id"]].append(Period(row["starts_on"], row["last_day"]))
    return periods


_SAVE = """
UPDATE coverages SET covered = $4, since_on = $5, version = $6
WHERE municipality = $1 AND section_id = $2 AND version = $3
"""


async def save_coverage(connection: Connection, municipality: str, before: Coverage, after: Coverage) -> None:
    """Store a changed coverage; its row is locked by :func:`load_coverages`."""
    await connection.execute(
        _SAVE, municipality, after.section_id, before.version, after.covered, after.since_on, after.version
    )

"""The town itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chassis.transaction import Connection

LOCK_MUNICIPALITY = """
SELECT name, kana, fictional, people_imported_at IS NOT NULL AS people_imported
FROM municipalities WHERE municipality = $1 FOR UPDATE
"""

NOTE_PEOPLE = """
UPDATE municipalities SET people_imported_at = $2 WHERE municipality = $1 AND people_imported_at IS NULL
"""

INSERT_MUNICIPALITY = """
INSERT INTO municipalities (municipality, version, name, kana, fictional) VALUES ($1, 1, $2, $3, $4)
ON CONFLICT (municipality) DO NOTHING
RETURNING version
"""


@dataclass(frozen=True, slots=True)
class Municipality:
    """A registered town. ``people_imported``: from then on a number of nobody is a mistake."""

    code: str
    name: str
    kana: str
    fictional: bool
    people_imported: bool = False


async def lock_municipality(connection: Connection, municipality: str) -> Municipality | None:
    """The town, locked: imports and changes of administrators run one after the other."""
    row = await connection.fetchrow(LOCK_MUNICIPALITY, municipality)
    return Municipality(municipality, **dict(row)) if row else None


async def insert_municipality(connection: Connection, town: Municipality) -> bool:
    """Register the town; false when it is registered already."""
    return await connection.fetchval(INSERT_MUNICIPALITY, town.code, town.name, town.kana, town.fictional) is not None


async def note_people_imported(connection: Connection, municipality: str, now: datetime) -> None:
    """The town's people were imported for the first time."""
    await connection.execute(NOTE_PEOPLE, municipality, now)

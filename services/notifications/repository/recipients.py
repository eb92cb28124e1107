"""Who is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import asyncpg

from chassis.transaction import Connection
from taiwa_contracts.consultations import Desk

_HEAD_OF = """
SELECT head_person_id FROM section_heads WHERE municipality = $1 AND section_id = $2 AND from_on <= $3
ORDER BY from_on DESC LIMIT 1
"""

_MEMBERS_OF = """
SELECT DISTINCT person_id FROM desk_members
WHERE municipality = $1 AND desk = $2 AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
ORDER BY person_id
"""


async def head_of(connection: Connection, municipality: str, section_id: UUID, day: date) -> UUID | None:
    """The head of a section on a day; ``None``: vacant or not known."""
    head: UUID | None = await connection.fetchval(_HEAD_OF, municipality, section_id, day)
    return head


async def members_of(connection: Connection, municipality: str, desk: Desk, day: date) -> list[UUID]:
    """Who belongs to a desk on a day."""
    rows: Sequence[asyncpg.Record] = await connection.fetch(_MEMBERS_OF, municipality, desk, day)
    return [row["person_id"] for row in rows]

"""What was read in the inbox."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis.transaction import Connection

_MARK_READ = """
UPDATE deliveries SET read_at = coalesce(read_at, $4)
WHERE municipality = $1 AND person_id = $2 AND delivery_id = $3 AND channel = 'in_app'
RETURNING read_at
"""

_MARK_ALL_READ = """
UPDATE deliveries SET read_at = $3
WHERE municipality = $1 AND person_id = $2 AND channel = 'in_app' AND read_at IS NULL
RETURNING delivery_id
"""


async def mark_read(
    connection: Connection, municipality: str, person_id: UUID, delivery_id: UUID, read_at: datetime
) -> datetime | None:
    """When the notice was first read; ``None``: there is no such notice in the person's inbox."""
    first: datetime | None = await connection.fetchval(_MARK_READ, municipality, person_id, delivery_id, read_at)
    return first


async def mark_all_read(connection: Connection, municipality: str, person_id: UUID, read_at: datetime) -> int:
    """How many notices were unread until now."""
    return len(await connection.fetch(_MARK_ALL_READ, municipality, person_id, read_at))

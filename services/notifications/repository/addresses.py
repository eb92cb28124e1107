"""Who has no address: what failed for it, what becomes of it, and who is known to have none."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from chassis.transaction import Connection
from services.notifications.domain import Recipient

_HOLD_RECIPIENT = """
SELECT mail IS NOT NULL AND mail <> '' AS has_address, erased,
       EXISTS (SELECT FROM known_without_address AS known
               WHERE known.municipality = $1 AND known.person_id = people.person_id) AS known_without_address
FROM people
WHERE municipality = $1
  AND person_id = (SELECT person_id FROM deliveries WHERE municipality = $1 AND delivery_id = $2)
FOR SHARE OF people
"""

_KNOW = """
INSERT INTO known_without_address (municipality, person_id, acknowledged_by, acknowledged_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""

_ACKNOWLEDGE_ADDRESSLESS = """
UPDATE deliveries SET acknowledged_at = $3
WHERE municipality = $1 AND person_id = $2 AND state = 'failed' AND acknowledged_at IS NULL AND reason = 'no_address'
"""

_LACKED_ADDRESS = """
SELECT EXISTS (SELECT FROM known_without_address WHERE municipality = $1 AND person_id = $2)
    OR EXISTS (SELECT FROM deliveries WHERE municipality = $1 AND person_id = $2 AND state = 'failed'
               AND acknowledged_at IS NULL AND reason = 'no_address')
"""

_FORGET = "DELETE FROM known_without_address WHERE municipality = $1 AND person_id = $2"

_RESUME_ADDRESSLESS = """
UPDATE deliveries
SET state = 'waiting', reason = NULL, attempts = 0, attempt_at = $4, settled_at = NULL, acknowledged_at = NULL
WHERE municipality = $1 AND person_id = $2 AND state = 'failed' AND reason = 'no_address' AND stored_at >= $3
"""


async def hold_recipient(connection: Connection, municipality: str, delivery_id: UUID) -> Recipient:
    """What is known of the delivery's recipient, which stays so until the transaction ends."""
    row = await connection.fetchrow(_HOLD_RECIPIENT, municipality, delivery_id)
    return Recipient(**row) if row else Recipient()


async def know_without_address(
    connection: Connection, municipality: str, person_id: UUID, by: UUID, now: datetime
) -> None:
    """Note that it is in order that the person has no address."""
    await connection.execute(_KNOW, municipality, person_id, by, now)


async def acknowledge_addressless(connection: Connection, municipality: str, person_id: UUID, now: datetime) -> None:
    """What failed because the person has no address needs no hand any more."""
    await connection.execute(_ACKNOWLEDGE_ADDRESSLESS, municipality, person_id, now)


async def lacked_address(connection: Connection, municipality: str, person_id: UUID) -> bool:
    """Whether anything failed, or is in order, because the person has no address."""
    return bool(await connection.fetchval(_LACKED_ADDRESS, municipality, person_id))


async def forget_without_address(connection: Connection, municipality: str, person_id: UUID) -> None:
    """That the person has no address is known no longer."""
    await connection.execute(_FORGET, municipality, person_id)


async def resume_addressless(
    connection: Connection, municipality: str, person_id: UUID, oldest: datetime, now: datetime
) -> None:
    """Let mails that failed for want of an address wait again, those stored since ``oldest``; machine time."""
    await connection.execute(_RESUME_ADDRESSLESS, municipality, person_id, oldest, now)

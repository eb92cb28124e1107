"""Deliveries: stored once for each recipient and channel, loaded with a lock, saved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.transaction import Connection, new_id
from services.notifications.domain import CHANNELS, Delivery, Notice
from taiwa_contracts.notifications import Channel

_ADD = """
INSERT INTO deliveries (municipality, delivery_id, cause_event_id, person_id, channel, template, particulars, text_id,
                        target_kind, target_id, state, attempt_at, correlation_id, created_at, version, settled_at)
SELECT $1, wanted.delivery_id, $2, wanted.person_id, wanted.channel, $6, $7::jsonb, $8, $9, $10,
       CASE wanted.channel WHEN 'in_app' THEN 'delivered' ELSE 'waiting' END,
       CASE wanted.channel WHEN 'in_app' THEN NULL ELSE clock_timestamp() END,
       $11, $12,
       CASE wanted.channel WHEN 'in_app' THEN 1 ELSE 0 END,
       CASE wanted.channel WHEN 'in_app' THEN clock_timestamp() END
FROM unnest($3::uuid[], $4::uuid[], $5::text[]) AS wanted (delivery_id, person_id, channel)
WHERE NOT EXISTS (
    SELECT FROM people
    WHERE people.municipality = $1 AND people.person_id = wanted.person_id AND (people.has_left OR people.erased)
)
ON CONFLICT (municipality, cause_event_id, person_id, channel) DO NOTHING
RETURNING delivery_id, person_id, channel
"""

DELIVERY_COLUMNS = """delivery_id, cause_event_id, person_id, channel, template, state, attempts, stored_at, version,
       reason, attempt_at"""

_LOAD = f"SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE municipality = $1 AND delivery_id = $2 FOR UPDATE"

_SAVE = """
UPDATE deliveries
SET state = $3, attempts = $4, stored_at = $5, version = $6, reason = $7, attempt_at = $8, lease = NULL,
    leased_until = NULL, begun_at = NULL, acknowledged_at = NULL,
    settled_at = CASE WHEN $3 = 'waiting' THEN NULL ELSE clock_timestamp() END
WHERE municipality = $1 AND delivery_id = $2
"""

_WAITING_FOR = f"""
SELECT {DELIVERY_COLUMNS} FROM deliveries
WHERE municipality = $1 AND person_id = $2 AND state = 'waiting' AND (leased_until IS NULL OR leased_until <= $3)
ORDER BY delivery_id FOR UPDATE
"""

_ACKNOWLEDGE = "UPDATE deliveries SET acknowledged_at = $3 WHERE municipality = $1 AND delivery_id = $2"


@dataclass(frozen=True, slots=True)
class Added:
    """A delivery that was stored just now."""

    delivery_id: UUID
    person_id: UUID
    channel: Channel


async def add_deliveries(
    connection: Connection,
    municipality: str,
    notice: Notice,
    *,
    cause_event_id: UUID,
    correlation_id: UUID,
    created_at: datetime,
) -> list[Added]:
    """Store one delivery per recipient and channel; those there are already, and people who left, are passed over.

    A notice in the inbox is delivered by being stored; a mail waits.
    """
    wanted = [(person_id, channel) for person_id in dict.fromkeys(notice.recipients) for channel in CHANNELS]
    rows = await connection.fetch(
        _ADD,
        municipality,
        cause_event_id,
        [new_id() for _ in wanted],
        [person_id for person_id, _ in wanted],
        [channel for _, channel in wanted],
        notice.template,
        json.dumps(dict(notice.particulars), ensure_ascii=False),
        notice.text_id,
        notice.target_kind,
        notice.target_id,
        correlation_id,
        created_at,
    )
    return [Added(row["delivery_id"], row["person_id"], row["channel"]) for row in rows]


async def load_delivery(connection: Connection, municipality: str, delivery_id: UUID) -> Delivery | None:
    """The delivery, locked."""
    row = await connection.fetchrow(_LOAD, municipality, delivery_id)
    return Delivery(**row) if row else None


async def save_delivery(connection: Connection, municipality: str, it: Delivery) -> None:
    """Store the state of a locked delivery and give it free."""
    await connection.execute(
        _SAVE, municipality, it.delivery_id, it.state, it.attempts, it.stored_at, it.version, it.reason, it.attempt_at
    )


async def waiting_for(connection: Connection, municipality: str, person_id: UUID, now: datetime) -> list[Delivery]:
    """The person's mails that wait and are in no sender's hands, locked; ``now`` is machine time."""
    return [Delivery(**row) for row in await connection.fetch(_WAITING_FOR, municipality, person_id, now)]


async def acknowledge(connection: Connection, municipality: str, delivery_id: UUID, now: datetime) -> None:
    """Note that somebody has looked at a failed delivery."""
    await connection.execute(_ACKNOWLEDGE, municipality, delivery_id, now)

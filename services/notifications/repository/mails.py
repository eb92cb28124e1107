"""Mails in the hands of a sender: claimed with a lease, begun, given back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from chassis.transaction import Connection, new_id
from services.notifications.domain import LEASE, TEXT_PATIENCE, Delivery
from services.notifications.repository.deliveries import DELIVERY_COLUMNS

# SKIP LOCKED lets several senders work side by side; the lease keeps a row with its sender after this commit.
_CLAIM = """
UPDATE deliveries SET lease = $1, leased_until = $2::timestamptz + $3::interval
FROM (
    SELECT municipality, delivery_id FROM deliveries AS due
    WHERE state = 'waiting' AND attempt_at <= $2 AND (leased_until IS NULL OR leased_until <= $2)
      AND (text_id IS NULL OR stored_at <= $2::timestamptz - $4::interval
           OR EXISTS (SELECT FROM texts WHERE texts.municipality = due.municipality AND texts.text_id = due.text_id))
    ORDER BY attempt_at LIMIT $5
    FOR UPDATE SKIP LOCKED
) AS due
WHERE deliveries.municipality = due.municipality AND deliveries.delivery_id = due.delivery_id
RETURNING deliveries.municipality, deliveries.delivery_id, deliveries.cause_event_id, deliveries.person_id,
          deliveries.template, deliveries.particulars, deliveries.text_id, deliveries.correlation_id,
          deliveries.attempt_at
"""

# An attempt that began and never ended may have reached the server: the mail goes out again, and that is on record.
_BEGIN = """
UPDATE deliveries
SET repeated_at = CASE WHEN begun_at IS NULL THEN repeated_at ELSE $4 END, begun_at = $4
WHERE municipality = $1 AND delivery_id = $2 AND lease = $3 AND state = 'waiting' AND leased_until > $4
RETURNING true
"""

_RELEASE = "UPDATE deliveries SET lease = NULL, leased_until = NULL WHERE lease = $1"

_LOAD_LEASED = f"""
SELECT {DELIVERY_COLUMNS} FROM deliveries
WHERE municipality = $1 AND delivery_id = $2 AND lease = $3 AND state = 'waiting' FOR UPDATE
"""


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that belongs to the sender who holds ``lease``, until ``leased_until`` (machine time)."""

    municipality: str
    delivery_id: UUID
    cause_event_id: UUID
    correlation_id: UUID
    person_id: UUID
    template: str
    particulars: Mapping[str, str]
    text_id: UUID | None
    lease: UUID
    leased_until: datetime


async def claim_mails(connection: Connection, now: datetime, limit: int) -> list[ClaimedMail]:
    """Take up to ``limit`` mails that are due, the oldest first, of every municipality; ``now`` is machine time.

    A mail whose text has not come yet is left until the text is there or patience ends.
    """
    lease = new_id()
    rows = await connection.fetch(_CLAIM, lease, now, LEASE, TEXT_PATIENCE, limit)
    rows.sort(key=lambda row: (row["attempt_at"], row["delivery_id"]))
    return [
        ClaimedMail(
            municipality=row["municipality"],
            delivery_id=row["delivery_id"],
            cause_event_id=row["cause_event_id"],
            correlation_id=row["correlation_id"],
            person_id=row["person_id"],
            template=row["template"],
            particulars=json.loads(row["particulars"]),
            text_id=row["text_id"],
            lease=lease,
            leased_until=now + LEASE,
        )
        for row in rows
    ]


async def begin_attempt(connection: Connection, mail: ClaimedMail, now: datetime) -> bool:
    """Note that the mail is about to be sent; false: it belongs to somebody else by now. ``now`` is machine time."""
    return bool(await connection.fetchval(_BEGIN, mail.municipality, mail.delivery_id, mail.lease, now))


async def release_mails(connection: Connection, lease: UUID) -> None:
    """Give back what was claimed and not tried."""
    await connection.execute(_RELEASE, lease)


async def load_leased(connection: Connection, municipality: str, delivery_id: UUID, lease: UUID) -> Delivery | None:
    """The delivery, locked, if it still belongs to the holder of ``lease``."""
    row = await connection.fetchrow(_LOAD_LEASED, municipality, delivery_id, lease)
    return Delivery(**row) if row else None

"""SQL of the write side: storing, claiming and settling deliveries; and who is to be told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg

from chassis.transaction import Connection, new_id
from services.notifications.domain import CHANNELS, LEASE, TEXT_PATIENCE, Delivery, Notice, Recipient
from taiwa_contracts.consultations import Desk
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

DELIVERY_COLUMNS = """delivery_id, cause_event_id, person_id, channel, template, state, attempts, stored_at, version,
       reason, attempt_at"""

_LOAD = f"SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE municipality = $1 AND delivery_id = $2 FOR UPDATE"

_LOAD_LEASED = f"""
SELECT {DELIVERY_COLUMNS} FROM deliveries
WHERE municipality = $1 AND delivery_id = $2 AND lease = $3 AND state = 'waiting' FOR UPDATE
"""

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

_HOLD_RECIPIENT = """
SELECT mail IS NOT NULL AND mail <> '' AS has_address, erased,
       EXISTS (SELECT FROM known_without_address AS known
               WHERE known.municipality = $1 AND known.person_id = people.person_id) AS known_without_address
FROM people
WHERE municipality = $1
  AND person_id = (SELECT person_id FROM deliveries WHERE municipality = $1 AND delivery_id = $2)
FOR SHARE OF people
"""

_ACKNOWLEDGE = "UPDATE deliveries SET acknowledged_at = $3 WHERE municipality = $1 AND delivery_id = $2"

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

_HEAD_OF = """
SELECT head_person_id FROM section_heads WHERE municipality = $1 AND section_id = $2 AND from_on <= $3
ORDER BY from_on DESC LIMIT 1
"""

_MEMBERS_OF = """
SELECT DISTINCT person_id FROM desk_members
WHERE municipality = $1 AND desk = $2 AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
ORDER BY person_id
"""


@dataclass(frozen=True, slots=True)
class Added:
    """A delivery that was stored just now."""

    delivery_id: UUID
    person_id: UUID
    channel: Channel


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


async def load_delivery(connection: Connection, municipality: str, delivery_id: UUID) -> Delivery | None:
    """The delivery, locked."""
    row = await connection.fetchrow(_LOAD, municipality, delivery_id)
    return Delivery(**row) if row else None


async def load_leased(connection: Connection, municipality: str, delivery_id: UUID, lease: UUID) -> Delivery | None:
    """The delivery, locked, if it still belongs to the holder of ``lease``."""
    row = await connection.fetchrow(_LOAD_LEASED, municipality, delivery_id, lease)
    return Delivery(**row) if row else None


async def save_delivery(connection: Connection, municipality: str, it: Delivery) -> None:
    """Store the state of a locked delivery and give it free."""
    await connection.execute(
        _SAVE, municipality, it.delivery_id, it.state, it.attempts, it.stored_at, it.version, it.reason, it.attempt_at
    )


async def waiting_for(connection: Connection, municipality: str, person_id: UUID, now: datetime) -> list[Delivery]:
    """The person's mails that wait and are in no sender's hands, locked; ``now`` is machine time."""
    return [Delivery(**row) for row in await connection.fetch(_WAITING_FOR, municipality, person_id, now)]


async def hold_recipient(connection: Connection, municipality: str, delivery_id: UUID) -> Recipient:
    """What is known of the delivery's recipient, which stays so until the transaction ends."""
    row = await connection.fetchrow(_HOLD_RECIPIENT, municipality, delivery_id)
    return Recipient(**row) if row else Recipient()


async def acknowledge(connection: Connection, municipality: str, delivery_id: UUID, now: datetime) -> None:
    """Note that somebody has looked at a failed delivery."""
    await connection.execute(_ACKNOWLEDGE, municipality, delivery_id, now)


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


async def mark_read(
    connection: Connection, municipality: str, person_id: UUID, delivery_id: UUID, read_at: datetime
) -> datetime | None:
    """When the notice was first read; ``None``: there is no such notice in the person's inbox."""
    first: datetime | None = await connection.fetchval(_MARK_READ, municipality, person_id, delivery_id, read_at)
    return first


async def mark_all_read(connection: Connection, municipality: str, person_id: UUID, read_at: datetime) -> int:
    """How many notices were unread until now."""
    return len(await connection.fetch(_MARK_ALL_READ, municipality, person_id, read_at))


async def head_of(connection: Connection, municipality: str, section_id: UUID, day: date) -> UUID | None:
    """The head of a section on a day; ``None``: vacant or not known."""
    head: UUID | None = await connection.fetchval(_HEAD_OF, municipality, section_id, day)
    return head


async def members_of(connection: Connection, municipality: str, desk: Desk, day: date) -> list[UUID]:
    """Who belongs to a desk on a day."""
    rows: Sequence[asyncpg.Record] = await connection.fetch(_MEMBERS_OF, municipality, desk, day)
    return [row["person_id"] for row in rows]

"""The list of deliveries, and of what failed only what needs a hand."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.http import Page, Target, View, page_of
from chassis.http.paging import PageRequest
from services.notifications.domain import State
from services.notifications.queries.names import Recipient, person_name, recipients
from services.notifications.queries.wording import STATE_LABELS, reason_text
from taiwa_contracts.notifications import Channel


class DeliveryView(BaseModel):
    """One delivery: event x recipient x channel."""

    id: UUID
    cause_event_id: UUID
    person_id: UUID
    person_name: str
    channel: Channel
    template: str
    state: State
    state_label: str
    reason: str | None = Field(description="stable code of the last failure, for example smtp_550")
    reason_text: str | None
    mails: int = Field(description="1; of a person without an address: how many mails failed for want of it")
    attempts: int
    next_attempt_at: datetime | None = Field(description="machine time; null: none is due")
    created_at: datetime
    settled_at: datetime | None = Field(description="machine time at which it was handed over, delivered or given up")
    target: Target


_DELIVERIES = """
SELECT delivery_id, cause_event_id, person_id, channel, template, state, reason, attempts, attempt_at, created_at,
       settled_at, target_kind, target_id, 1 AS mails
FROM deliveries
WHERE municipality = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR channel = $3)
  AND ($4::timestamptz IS NULL OR (created_at, delivery_id) < ($4, $5::uuid))
ORDER BY created_at DESC, delivery_id DESC LIMIT $6
"""

# A person without an address is one thing to mend, however many mails failed for it: the newest stands for all.
_TO_MEND = """
SELECT delivery_id, cause_event_id, person_id, channel, template, state, reason, attempts, attempt_at, created_at,
       settled_at, target_kind, target_id,
       CASE WHEN reason = 'no_address'
            THEN (SELECT count(*) FROM deliveries AS other
                  WHERE other.municipality = $1 AND other.person_id = it.person_id AND other.state = 'failed'
                    AND other.acknowledged_at IS NULL AND other.reason = 'no_address')
            ELSE 1 END AS mails
FROM deliveries AS it
WHERE municipality = $1 AND state = 'failed' AND acknowledged_at IS NULL AND ($2::text IS NULL OR channel = $2)
  AND ($3::timestamptz IS NULL OR (created_at, delivery_id) < ($3, $4::uuid))
  AND (reason IS DISTINCT FROM 'no_address' OR NOT EXISTS (
      SELECT FROM deliveries AS newer
      WHERE newer.municipality = $1 AND newer.person_id = it.person_id AND newer.state = 'failed'
        AND newer.acknowledged_at IS NULL AND newer.reason = 'no_address'
        AND (newer.created_at, newer.delivery_id) > (it.created_at, it.delivery_id)))
ORDER BY created_at DESC, delivery_id DESC LIMIT $5
"""


async def deliveries(
    view: View, paging: PageRequest, *, state: State | None, channel: Channel | None, acknowledged: bool
) -> Page[DeliveryView]:
    """Deliveries of the municipality, the newest first.

    Of what failed only what needs a hand, a person without an address once; all of it if ``acknowledged``.
    """
    place = (*(paging.last(datetime.fromisoformat, UUID) or (None, None)), paging.limit + 1)
    if state == "failed" and not acknowledged:
        rows = await view.connection.fetch(_TO_MEND, view.municipality, channel, *place)
    else:
        rows = await view.connection.fetch(_DELIVERIES, view.municipality, state, channel, *place)
    page, cursor = page_of(rows, paging, place_of)
    people = await recipients(view.connection, view.municipality, [row["person_id"] for row in page])
    return Page(items=[_delivery_view(row, people) for row in page], next_cursor=cursor)


def _delivery_view(row: asyncpg.Record, people: dict[UUID, Recipient]) -> DeliveryView:
    state: State = row["state"]
    return DeliveryView(
        id=row["delivery_id"],
        cause_event_id=row["cause_event_id"],
        person_id=row["person_id"],
        person_name=person_name(row, people),
        channel=row["channel"],
        template=row["template"],
        state=state,
        state_label=STATE_LABELS[state],
        reason=row["reason"],
        reason_text=reason_text(row["reason"], row["mails"]),
        mails=row["mails"],
        attempts=row["attempts"],
        next_attempt_at=row["attempt_at"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
        target=target_of(row),
    )


def target_of(row: asyncpg.Record) -> Target:
    """What a delivery leads to."""
    return Target(kind=row["target_kind"], id=row["target_id"])


def place_of(row: asyncpg.Record) -> tuple[str, UUID]:
    """Where a row stands in a list, the newest first."""
    return row["created_at"].isoformat(), row["delivery_id"]

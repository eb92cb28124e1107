"""What came later than it should have, or has not come yet."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, Field

from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from services.notifications.domain import State
from services.notifications.queries.names import known_names, person_name, readable, recipients
from services.notifications.queries.wording import STATE_LABELS, reason_text
from taiwa_contracts.notifications import Channel


class LateDelivery(BaseModel):
    """A notice that came later than it should have, or has not come yet. All times are machine time."""

    id: UUID
    person_id: UUID
    person_name: str
    channel: Channel
    title: str
    state: State
    state_label: str
    happened_at: datetime = Field(description="when what it tells of was recorded")
    settled_at: datetime | None = Field(description="when it was handed over or delivered; null: it still waits")
    late_seconds: float
    repeated_at: datetime | None = Field(
        description="sent again, with the same Message-ID, because nothing told how the attempt before it ended"
    )
    reason_text: str | None


class LateDeliveries(Page[LateDelivery]):
    """A page of them, the oldest event first, and what all pages together say."""

    total: int
    people: int
    waiting: int
    repeated: int
    first_happened_at: datetime | None
    last_settled_at: datetime | None


# The event's id is a UUIDv7: it bears the moment of its command. An id without one is passed over.
_LATE = """
SELECT * FROM (
    SELECT *, uuid_extract_timestamp(cause_event_id) AS happened_at FROM deliveries
    WHERE municipality = $1 AND (state = 'waiting' OR settled_at >= $2)
) AS delivery
WHERE state IN ('waiting', 'handed_over', 'delivered')
  AND (coalesce(settled_at, $3) - happened_at > $4::interval OR repeated_at >= $2)
"""

_LATE_PAGE = f"""
SELECT * FROM ({_LATE}) AS late WHERE $5::timestamptz IS NULL OR (happened_at, delivery_id) > ($5, $6::uuid)
ORDER BY happened_at, delivery_id LIMIT $7
"""

_LATE_TOGETHER = f"""
SELECT count(*) AS total, count(DISTINCT person_id) AS people, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(repeated_at) AS repeated, min(happened_at) AS first_happened_at, max(settled_at) AS last_settled_at
FROM ({_LATE}) AS late
"""


async def late_deliveries(
    view: View, paging: PageRequest, *, since: datetime, now: datetime, allowed: timedelta
) -> LateDeliveries:
    """What came more than ``allowed`` after its event, since then, or still waits so long; machine time."""
    happened_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    given = (view.municipality, since, now, allowed)
    rows = await view.connection.fetch(_LATE_PAGE, *given, happened_at, last_id, paging.limit + 1)
    page, cursor = page_of(rows, paging, lambda row: (row["happened_at"].isoformat(), row["delivery_id"]))
    together = await view.connection.fetchrow(_LATE_TOGETHER, *given)
    people = await recipients(view.connection, view.municipality, [row["person_id"] for row in page])
    told = [json.loads(row["particulars"]) for row in page]
    names = await known_names(view.connection, view.municipality, view.today, told)
    return LateDeliveries(
        items=[
            LateDelivery(
                id=row["delivery_id"],
                person_id=row["person_id"],
                person_name=person_name(row, people),
                channel=row["channel"],
                title=readable(row["template"], particulars, names, None).subject,
                state=row["state"],
                state_label=STATE_LABELS[row["state"]],
                happened_at=row["happened_at"],
                settled_at=row["settled_at"],
                late_seconds=((row["settled_at"] or now) - row["happened_at"]).total_seconds(),
                repeated_at=row["repeated_at"],
                reason_text=reason_text(row["reason"]),
            )
            for row, particulars in zip(page, told, strict=True)
        ],
        next_cursor=cursor,
        **dict(together or {}),
    )

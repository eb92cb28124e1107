"""The notices in a person's inbox."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from chassis.http import Page, Target, View, page_of
from chassis.http.paging import PageRequest
from services.notifications.queries.listing import place_of, target_of
from services.notifications.queries.names import known_names, readable


class InboxItem(BaseModel):
    """A notice in a person's inbox. ``title`` and ``body`` are plain text, to be escaped by whoever shows them."""

    id: UUID
    title: str
    body: str
    created_at: datetime
    read_at: datetime | None
    target: Target


class InboxSummary(BaseModel):
    """How many notices are unread."""

    unread: int


_INBOX = """
SELECT delivery_id, template, particulars, text_id, target_kind, target_id, created_at, read_at FROM deliveries
WHERE municipality = $1 AND person_id = $2 AND channel = 'in_app' AND (NOT $3 OR read_at IS NULL)
  AND ($4::timestamptz IS NULL OR (created_at, delivery_id) < ($4, $5::uuid))
ORDER BY created_at DESC, delivery_id DESC LIMIT $6
"""

_UNREAD = """
SELECT count(*) FROM deliveries
WHERE municipality = $1 AND person_id = $2 AND channel = 'in_app' AND read_at IS NULL
"""


async def inbox(view: View, person_id: UUID, paging: PageRequest, *, unread: bool) -> Page[InboxItem]:
    """A person's notices, the newest first, as they read with today's names."""
    created_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    rows = await view.connection.fetch(
        _INBOX, view.municipality, person_id, unread, created_at, last_id, paging.limit + 1
    )
    page, cursor = page_of(rows, paging, place_of)
    told = [json.loads(row["particulars"]) for row in page]
    texts = [row["text_id"] for row in page]
    names = await known_names(view.connection, view.municipality, view.today, told, texts)
    items = []
    for row, particulars in zip(page, told, strict=True):
        notice = readable(row["template"], particulars, names, row["text_id"])
        items.append(
            InboxItem(
                id=row["delivery_id"],
                title=notice.subject,
                body=notice.body,
                created_at=row["created_at"],
                read_at=row["read_at"],
                target=target_of(row),
            )
        )
    return Page(items=items, next_cursor=cursor)


async def inbox_summary(view: View, person_id: UUID) -> InboxSummary:
    """How many notices of a person are unread."""
    return InboxSummary(unread=await view.connection.fetchval(_UNREAD, view.municipality, person_id))

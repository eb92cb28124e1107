"""Deliveries of notices: what was sent, and what came late."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.portal.queries.parts import Listed


class SentNotice(BaseModel):
    """One delivery of a notice."""

    id: str
    person_name: str
    channel: str
    state: str
    reason: str | None
    reason_text: str | None
    created_at: datetime


class LateNotice(BaseModel):
    """A notice that came late, or still waits."""

    id: str
    person_id: str
    person_name: str
    channel: str
    title: str
    state: str
    happened_at: datetime
    settled_at: datetime | None
    late_seconds: float
    repeated_at: datetime | None
    reason_text: str | None


class LateNotices(Listed[LateNotice]):
    """A page of them, and what all pages together say."""

    total: int
    people: int
    waiting: int
    repeated: int
    first_happened_at: datetime | None
    last_settled_at: datetime | None

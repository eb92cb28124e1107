"""The notices in the visitor's inbox."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class Notice(BaseModel):
    """One notice in the inbox."""

    id: str
    title: str
    body: str
    created_at: datetime
    read_at: datetime | None
    target: NoticeTarget | None = None


class NoticeTarget(BaseModel):
    """What a notice is about."""

    kind: str
    id: str

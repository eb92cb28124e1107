"""What several pages read."""

from __future__ import annotations

from datetime import date, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class Listed(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None


class Deputy(BaseModel):
    """Who stands in for a leader."""

    name: str | None
    from_on: date
    until_on: date | None


class Decision(BaseModel):
    """A recorded decision."""

    decided_on: date | None
    decided_by_post: str | None = None
    document_number: str | None = None


class Asked(BaseModel):
    """A time a section was asked; ``reason``: its answer was sent back."""

    requested_at: datetime
    reason: str | None = None

"""What stands still or is late, service by service."""

from __future__ import annotations

import asyncio
from datetime import datetime

from pydantic import BaseModel

from services.portal.gateway import NAMES, Part, Services, part
from services.portal.queries.work import WORKING


class ServiceCheck(BaseModel):
    """One thing of a service's process; ``reason`` is for whoever runs the installation."""

    name: str
    ok: bool
    reason: str | None = None


class ServiceStop(BaseModel):
    """Something that stands still."""

    consumer: str
    scope: str
    topic: str | None
    partition: int | None
    cause: str
    since: datetime
    resumable: bool


class LettersCounted(BaseModel):
    """Open dead letters of one kind."""

    kind: str
    letters: int
    since: datetime


class OverdueTimer(BaseModel):
    """A timer over its time."""

    name: str
    aggregate: str
    due_at: datetime


class LateRun(OverdueTimer):
    """A timer that ran late."""

    ran_at: datetime


class Standing(BaseModel):
    """What stands still in one service."""

    service: str
    as_of: datetime
    checks: list[ServiceCheck]
    stops: list[ServiceStop]
    letters: list[LettersCounted]
    unpublished: int
    unpublished_since: datetime | None
    lag: dict[str, int] | None
    overdue_timers: list[OverdueTimer]


async def standing_of_all(services: Services) -> dict[str, Part[Standing]]:
    """What stands still, service by service; one that does not answer is a part without content."""
    names = sorted(NAMES, key=WORKING.index)
    parts = await asyncio.gather(*(part(services.read(name, "/operations/standing", Standing)) for name in names))
    return dict(zip(names, parts, strict=True))

"""Moves the simulated civil clock and lets the town live through what becomes due on the way.

``advance`` jumps to the next due timer of any service, waits until every relay has published and every consumer has
applied everything, and repeats until the wanted time: a timer's effects are seen by the next timer, as in real time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.settings import InstallationSettings
from chassis.tail import log_ends
from taiwa.mendable import Mendable

PATIENCE_SECONDS = 60.0
_PAUSE = 0.05

# A row of the log is published when the relay's saved snapshot sees it. A day is more than any backlog of a demo.
_LOOK = """
SELECT (SELECT civil_at FROM civil_clock) AS civil_at,
       (SELECT min(due_at) FROM timers WHERE failed_at IS NULL AND due_at > $1) AS next_due,
       EXISTS (SELECT FROM timers WHERE failed_at IS NULL AND due_at <= $1) AS due,
       (SELECT count(*) FROM event_log AS e
        WHERE e.recorded_at > clock_timestamp() - interval '1 day'
          AND NOT EXISTS (SELECT FROM relay_place AS p WHERE pg_visible_in_snapshot(e.xid, p.prev::pg_snapshot))
       ) AS unpublished,
       (SELECT coalesce(max(position), 0) FROM event_log) AS position,
       (SELECT count(*) FROM stops) AS stops
"""
_OFFSETS = "SELECT topic, partition, next FROM offsets WHERE consumer = $1"

Ends = Callable[[Sequence[str]], Awaitable[dict[tuple[str, int], int]]]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at one service showed. ``behind``: records its consumer has yet to apply."""

    civil_at: datetime | None
    next_due: datetime | None
    due: bool
    unpublished: int
    behind: int
    position: int
    stopped: bool


class Town:
    """All services of an installation, looked at through their databases and Kafka.

    Args:
        databases: one per service, of its worker role.
        ends: where topics end.
    """

    def __init__(self, databases: Mapping[str, Database], ends: Ends) -> None:
        self._databases = databases
        self._ends = ends

    async def look(self, now: datetime) -> dict[str, Look]:
        """Look at every service once."""
        looks = await asyncio.gather(*(self._look(name, it, now) for name, it in self._databases.items()))
        return dict(zip(self._databases, looks, strict=True))

    async def _look(self, name: str, database: Database, now: datetime) -> Look:
        async with database.scoped(ALL_MUNICIPALITIES, read_only=True) as connection:
            row = await connection.fetchrow(_LOOK, now)
            offsets = {
                (offset["topic"], offset["partition"]): offset["next"]
                for offset in await connection.fetch(_OFFSETS, name)
            }
        ends = await self._ends(sorted({topic for topic, _ in offsets}))
        behind = sum(max(0, end - offsets.get(at, end)) for at, end in ends.items())
        if row is None:
            raise LookupError(name)
        return Look(
            civil_at=row["civil_at"],
            next_due=row["next_due"],
            due=row["due"],
            unpublished=row["unpublished"],
            behind=behind,
            position=row["position"],
            stopped=row["stops"] > 0,
        )

    async def drained(self, now: datetime, *, seconds: float = PATIENCE_SECONDS) -> dict[str, Look]:
        """Wait until nothing is due, unpublished or unread anywhere, twice in a row without anything new.

        Raises:
            Mendable: it takes too long, or a consumer stands still; the message says where.
        """
        deadline = time.monotonic() + seconds
        before: list[int] = []
        while True:
            seen = await self.look(now)
            newest = max((look.civil_at for look in seen.values() if look.civil_at), default=None)
            busy = {
                name: look
                for name, look in seen.items()
                if look.due or look.unpublished or look.behind or look.civil_at != newest
            }
            positions = [look.position for look in seen.values()]
            if not busy and positions == before:
                return seen
            before = [] if busy else positions
            if time.monotonic() > deadline:
                where = ", ".join(f"{name} ({_reason(look)})" for name, look in busy.items())
                raise Mendable(f"The town does not come to rest: {where}.", "Look with: taiwa doctor")
            await asyncio.sleep(_PAUSE)

    async def advance(self, now: datetime, until: datetime, set_clock: Callable[[datetime], Awaitable[None]]) -> int:
        """Move from ``now`` to ``until`` by way of every due timer; give the number of jumps.

        Raises:
            Mendable: see :meth:`drained`.
        """
        jumps = 0
        at = now
        seen = await self.look(at)
        while at < until:
            dues = [look.next_due for look in seen.values() if look.next_due is not None]
            at = min([until, *dues])
            await set_clock(at)
            seen = await self.drained(at)
            jumps += 1
        return jumps


def _reason(look: Look) -> str:
    if look.stopped:
        return "a consumer stands still"
    if look.due:
        return "timers are due"
    return f"{look.unpublished} events to publish, {look.behind} to apply, clock set to {look.civil_at}"


@asynccontextmanager
async def looked_at(settings: InstallationSettings, passwords: Mapping[str, str]) -> AsyncIterator[Town]:
    """Open what is needed to look at all services named in ``passwords`` (service → database password)."""
    async with AsyncExitStack() as stack:
        databases = {}
        for name, password in passwords.items():
            databases[name] = await Database.connect(settings, name, "worker", password, 1)
            stack.push_async_callback(databases[name].close)
        yield Town(databases, await stack.enter_async_context(log_ends(settings)))

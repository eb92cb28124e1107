"""Mistakes of a relay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chassis import failpoints
from chassis.clocks import machine_now
from chassis.relay.log import _COLUMNS, EventLog
from chassis.relay.loop import Relay
from chassis.relay.publisher import Publisher
from chassis.relay.window import Place, Snapshot
from tests.mutants.patching import Undo, replace

ABOVE = f"SELECT {_COLUMNS} FROM event_log WHERE position > $1 ORDER BY position LIMIT $2"

BY_TRANSACTION = f"""
SELECT {_COLUMNS}, pg_current_snapshot()::text AS taken FROM event_log
WHERE NOT pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
ORDER BY xid, position
"""


def position_above_last() -> Undo:
    """What is above the last position is new: who drew a position earlier and commits later is lost."""

    async def open_(self: EventLog, place: Place, floor: int, since: datetime, limit: int) -> tuple[list[Any], Place]:
        del floor, since
        rows: list[Any] = await self._connection.fetch(ABOVE, place.prev.floor, limit)
        last = rows[-1]["position"] if rows else place.prev.floor
        return rows, place.open(Snapshot(place.prev.taken, last, machine_now()))

    async def page(self: EventLog, place: Place, since: datetime, limit: int) -> list[Any]:
        del since
        return list(await self._connection.fetch(ABOVE, max(place.last, place.prev.floor), limit))

    return replace((EventLog, "open", open_), (EventLog, "page", page))


def transaction_id_order() -> Undo:
    """What is new is published by transaction ids: an id may be older than the lock its writer waited for."""

    async def open_(self: EventLog, place: Place, floor: int, since: datetime, limit: int) -> tuple[list[Any], Place]:
        del since, limit
        rows: list[Any] = await self._connection.fetch(BY_TRANSACTION, place.prev.taken)
        taken = rows[0]["taken"] if rows else place.prev.taken
        return rows, place.open(Snapshot(taken, floor, place.prev.taken_at))

    async def page(self: EventLog, place: Place, since: datetime, limit: int) -> list[Any]:
        del self, place, since, limit
        return []

    return replace((EventLog, "open", open_), (EventLog, "page", page))


def save_before_ack() -> Undo:
    """The place is saved before the broker has acknowledged: what a crash in between takes is lost."""

    async def publish(self: Relay, log: EventLog, publisher: Publisher, page: Any, at: Any) -> Any:
        failpoints.reach("relay.after_fetch")
        at.place, at.acknowledged = page.after, True
        await self._save(log, at)
        await publisher.publish(self._recorder.records(page.rows, page.present))
        self._published.inc(len(page.rows))
        return None if page.after.cur is None else await self._page(log, page.after)

    return replace((Relay, "_publish", publish))

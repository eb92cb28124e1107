"""How one service is, of all towns together: what stands still, what waits, what was set aside. For its operator.

Promise: reading it changes nothing and needs nobody but PostgreSQL; how far Kafka's topics have grown is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from chassis.operations import stops
from chassis.operations.standing import LATE_AFTER
from chassis.operations.stops import Standing
from chassis.relay.log import place_of
from chassis.relay.window import START
from chassis.transaction import Connection

Ends = Mapping[tuple[str, int], int]
"""(topic, partition) → next offset that Kafka will give."""

_PLACE = "SELECT * FROM relay_place"

# What the relay would read next: see chassis/relay/log.py for the two branches.
_UNPUBLISHED = """
SELECT count(*) AS events, min(recorded_at) AS since FROM event_log
WHERE recorded_at >= $1 AND NOT pg_visible_in_snapshot(xid, (SELECT $2::text::pg_snapshot))
  AND (position > $3 OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($2::text::pg_snapshot))))
  AND NOT coalesce(position <= $4 AND pg_visible_in_snapshot(xid, (SELECT $5::text::pg_snapshot)), false)
"""

_OFFSETS = "SELECT topic, partition, next FROM offsets WHERE consumer = $1"

_LETTERS = (
    "SELECT kind, count(*) AS letters, min(written_at) AS since FROM dead_letters WHERE closed_at IS NULL GROUP BY kind"
)

_OVERDUE = "SELECT count(*) AS timers, min(due_at) AS since FROM timers WHERE failed_at IS NULL AND due_at < $1"

_NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many, and since when the oldest does."""

    many: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Condition:
    """``lag``: records that Kafka holds and the service has not dealt with, by topic; unknown without ``ends``.

    ``letters``: open dead letters by kind: ``dead``, ``deferred``, ``held``. ``asked_at``: PostgreSQL's clock.
    """

    service: str
    asked_at: datetime
    unpublished: Waiting
    lag: Mapping[str, int] | None
    letters: Mapping[str, Waiting]
    overdue: Waiting
    stops: list[Standing]

    @property
    def late(self) -> list[str]:
        """What stands still or waits too long, a sentence each."""
        said = [f"{it.scope} {it.topic or it.consumer}: {it.reason}" for it in self.stops]
        if dead := self.letters.get("dead"):
            held = self.letters.get("held")
            behind = f", {held.many} held behind them" if held else ""
            said.append(f"{dead.many} dead letters wait for an operator{behind}")
        if self.unpublished.since is not None and self.asked_at - self.unpublished.since > LATE_AFTER:
            said.append(f"{self.unpublished.many} events are not published, the oldest since {self.unpublished.since}")
        if self.overdue.many:
            said.append(f"{self.overdue.many} timers are overdue, the oldest since {self.overdue.since}")
        return said


async def condition(
    connection: Connection, service: str, *, civil_now: datetime, ends: Ends | None = None
) -> Condition:
    """How a service is; the scope is ``*``. ``civil_now``: the town's time, by which timers are due."""
    asked_at: datetime = await connection.fetchval(_NOW)
    letters = await connection.fetch(_LETTERS)
    return Condition(
        service,
        asked_at,
        await _unpublished(connection),
        None if ends is None else await _lag(connection, service, ends),
        {row["kind"]: Waiting(row["letters"], row["since"]) for row in letters},
        _waiting(await connection.fetchrow(_OVERDUE, civil_now - LATE_AFTER), "timers"),
        await stops.every(connection),
    )


async def _unpublished(connection: Connection) -> Waiting:
    row = await connection.fetchrow(_PLACE)
    place = START if row is None else place_of(row)
    found = await connection.fetchrow(
        _UNPUBLISHED,
        place.prev.taken_at - timedelta(days=1),
        place.prev.taken,
        place.prev.floor,
        place.last,
        None if place.cur is None else place.cur.taken,
    )
    return _waiting(found, "events")


async def _lag(connection: Connection, service: str, ends: Ends) -> dict[str, int]:
    behind: dict[str, int] = {}
    for row in await connection.fetch(_OFFSETS, service):
        end = ends.get((row["topic"], row["partition"]), row["next"])
        behind[row["topic"]] = behind.get(row["topic"], 0) + max(0, end - row["next"])
    return behind


def _waiting(row: asyncpg.Record | None, many: str) -> Waiting:
    return Waiting(row[many], row["since"]) if row is not None else Waiting(0, None)


def as_json(it: Condition) -> dict[str, Any]:
    """The same for programs."""
    return {
        "service": it.service,
        "asked_at": it.asked_at,
        "well": not it.late,
        "late": it.late,
        "unpublished": {"events": it.unpublished.many, "since": it.unpublished.since},
        "lag": it.lag,
        "dead_letters": {kind: {"letters": found.many, "since": found.since} for kind, found in it.letters.items()},
        "overdue": {"timers": it.overdue.many, "since": it.overdue.since},
        "stops": [
            {
                "consumer": stop.consumer,
                "scope": stop.scope,
                "topic": stop.topic or None,
                "partition": stop.partition if stop.partition >= 0 else None,
                "since": stop.since,
                "reason": stop.reason,
                "command": stop.command,
            }
            for stop in it.stops
        ],
    }

"""What of a municipality waits longer than it should: events not published yet, timers over their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from chassis.relay.log import place_of
from chassis.relay.window import START
from chassis.transaction import Connection

LATE_AFTER = timedelta(minutes=1)
"""A timer that runs so long after its time is late; the timers role looks every second."""

COUNTED = 1000
"""Waiting events are counted up to this; more is said as more."""

_PLACE = "SELECT prev, prev_floor, prev_taken_at, cur, cur_floor, cur_taken_at, last FROM relay_place"

# What the relay would read next, of one municipality: see chassis/relay/log.py for the two branches.
_UNPUBLISHED = """
SELECT count(*) AS waiting, min(recorded_at) AS since FROM (
    SELECT recorded_at FROM event_log
    WHERE municipality = $1 AND recorded_at >= $2 AND NOT pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
      AND (position > $4 OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($3::text::pg_snapshot))))
      AND NOT coalesce(position <= $5 AND pg_visible_in_snapshot(xid, $6::text::pg_snapshot), false)
    LIMIT $7
) AS event
"""

_OVERDUE = """
SELECT name, aggregate, due_at, attempts, retry_at FROM timers
WHERE municipality = $1 AND failed_at IS NULL AND due_at < $2
ORDER BY due_at, aggregate, name LIMIT $3
"""

_RAN_LATE = """
SELECT name, aggregate, due_at, ran_at, recorded_at FROM late_timers
WHERE municipality = $1 AND recorded_at >= $2
ORDER BY recorded_at DESC, due_at, aggregate, name LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Events of a municipality that Kafka does not have yet; at most :data:`COUNTED` and one more are counted."""

    events: int
    since: datetime | None


async def unpublished(connection: Connection, municipality: str) -> Unpublished:
    """How many events wait for the relay, and since when the oldest does."""
    row = await connection.fetchrow(_PLACE)
    place = START if row is None else place_of(row)
    found = await connection.fetchrow(
        _UNPUBLISHED,
        municipality,
        place.prev.taken_at - timedelta(days=1),
        place.prev.taken,
        place.prev.floor,
        place.last,
        None if place.cur is None else place.cur.taken,
        COUNTED + 1,
    )
    return Unpublished(found["waiting"], found["since"]) if found else Unpublished(0, None)


async def overdue(connection: Connection, municipality: str, now: datetime, limit: int) -> list[asyncpg.Record]:
    """Timers that should have run; ``now`` is civil time. Those that failed for good are dead letters instead."""
    return await connection.fetch(_OVERDUE, municipality, now - LATE_AFTER, limit)


async def ran_late(connection: Connection, municipality: str, since: datetime, limit: int) -> list[asyncpg.Record]:
    """Timers that ran late since then (machine time), the newest first."""
    return await connection.fetch(_RAN_LATE, municipality, since, limit)

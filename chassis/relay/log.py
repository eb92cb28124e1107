"""Reads the event log in windows and keeps the relay's place, on the one session that holds the relay's lock.

Promise: the query's cost depends on what it gives, not on the length of the log, a backlog, or a transaction left
open anywhere in the cluster.

Two assumptions, both stated by their code: a row's ``recorded_at`` is at most a day before the snapshot that first
sees it (transactions are cut after 60 s idle, statements after 30 s), so old partitions are not touched; and
``event_log.xid`` stands before ``position`` (``0001_write_side.sql``), so a floor holds.

Proven by ``tests/integration/messaging/test_relay_log.py`` and ``tests/simulation``.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from chassis.relay.window import Place, Snapshot

if TYPE_CHECKING:
    from chassis.transaction import Connection

LOCK = 0x72656C6179
"""``relay`` in ASCII; advisory locks belong to one database, and that is one service."""

_COLUMNS = """position, topic, type, key_hash, version, occurred_at, recorded_at,
    convert_to(municipality || '/' || aggregate, 'UTF8') AS key,
    convert_to(event_id::text, 'UTF8') AS event_id,
    convert_to(correlation_id::text, 'UTF8') AS correlation_id,
    convert_to(causation_id::text, 'UTF8') AS causation_id,
    convert_to(traceparent, 'UTF8') AS traceparent,
    convert_to(payload, 'UTF8') AS payload,
    convert_to(told_in, 'UTF8') AS told_in"""

# Snapshots stand in sub-selects, which are read once and not again for every row.
# Branch one walks the index of positions forward and stops at the limit; "xid8cmp" hides the index of transaction ids.
# Branch two must use that one; "position + 0" hides the other, which would walk the whole backlog for a few rows.
# Statistics always lag behind the end of this table, so the planner must not be asked: see _SESSION.
_ROWS = f"""
    (SELECT {_COLUMNS} FROM event_log
     WHERE recorded_at >= $5 AND position > $2 AND xid8cmp(xid, (SELECT pg_snapshot_xmax($1::text::pg_snapshot))) >= 0
       AND {{visible}}
     ORDER BY position LIMIT $4)
    UNION ALL
    (SELECT {_COLUMNS} FROM event_log
     WHERE recorded_at >= $5 AND xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
       AND position + 0 > $3 AND {{visible}}
     ORDER BY position + 0 LIMIT $4)
"""
_ROWS_OF_NOW = _ROWS.format(visible="true")
_ROWS_OF_WINDOW = _ROWS.format(visible="pg_visible_in_snapshot(xid, (SELECT $6::text::pg_snapshot))")

# The first page of a window: what this statement sees is the window, and its own snapshot is told with the rows.
_OPEN = f"""
SELECT page.*, cur.taken, cur.taken_at
FROM (SELECT pg_current_snapshot()::text AS taken, clock_timestamp() AS taken_at) AS cur
LEFT JOIN (SELECT * FROM ({_ROWS_OF_NOW}) AS both_branches ORDER BY position LIMIT $4) AS page ON true
ORDER BY page.position
"""

# The pages after it see later snapshots and must look at the window's.
_PAGE = f"""
SELECT * FROM ({_ROWS_OF_WINDOW}) AS page
ORDER BY position LIMIT $4
"""

# No row is read for a municipality: the relay publishes every town's. Losing the place to a crash repeats a page and no
# more, so its commit need not wait for the disk. Without sequential scans, sorts (where there is another way) and
# parallel workers a page costs what it gives, also when the planner believes that next to nothing lies beyond the last
# statistics.
_SESSION = {
    "taiwa.municipality": "'*'",
    "synchronous_commit": "off",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_sort": "off",
    "max_parallel_workers_per_gather": "0",
}

_RESIGN = "; ".join(["SELECT pg_advisory_unlock_all()", *(f"RESET {name}" for name in _SESSION)])

_READ = "SELECT * FROM relay_place"

# What a statement sees was committed below its snapshot's xmax, unless the rows came from another cluster.
_OF_ANOTHER_CLUSTER = "SELECT EXISTS (SELECT FROM event_log WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))"

# A barrier as well: the position is read before this transaction takes its id (the row to write comes from it), and
# once it has ended every new snapshot's xmax lies above that id.
_SAVE = """
WITH drawn AS MATERIALIZED (
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS floor FROM event_log_position_seq
)
INSERT INTO relay_place (prev, prev_floor, prev_taken_at, cur, cur_floor, cur_taken_at, last, system_identifier,
                         cluster_id)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM drawn
ON CONFLICT (singleton) DO UPDATE SET
    prev = excluded.prev, prev_floor = excluded.prev_floor, prev_taken_at = excluded.prev_taken_at,
    cur = excluded.cur, cur_floor = excluded.cur_floor, cur_taken_at = excluded.cur_taken_at, last = excluded.last,
    system_identifier = excluded.system_identifier, cluster_id = excluded.cluster_id, saved_at = clock_timestamp()
RETURNING (SELECT floor FROM drawn)
"""

HELD = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = $1::bigint >> 32 AND objid::bigint = ($1::bigint & 4294967295)
)
"""


class RelayRefusedError(Exception):
    """The relay must not go on; the message names the command that mends it."""


def place_of(row: asyncpg.Record) -> Place:
    """The place a row of ``relay_place`` tells."""
    return Place(
        prev=Snapshot(row["prev"], row["prev_floor"], row["prev_taken_at"]),
        cur=None if row["cur"] is None else Snapshot(row["cur"], row["cur_floor"], row["cur_taken_at"]),
        last=row["last"],
    )


async def save_place(connection: Connection, place: Place, *, system_identifier: str, cluster_id: str) -> int:
    """Write the place as the only row of ``relay_place``; gives the last position drawn, with a barrier behind it."""
    cur = place.cur or place.prev
    floor: int = await connection.fetchval(
        _SAVE,
        place.prev.taken,
        place.prev.floor,
        place.prev.taken_at,
        None if place.cur is None else place.cur.taken,
        cur.floor,
        cur.taken_at,
        place.last,
        system_identifier,
        cluster_id,
    )
    return floor


async def system_identifier(connection: Connection) -> str:
    """What tells one PostgreSQL cluster from another, also after dump and restore."""
    return str(await connection.fetchval("SELECT system_identifier FROM pg_control_system()"))


class EventLog:
    """The relay's session. All statements run on it, so that losing the lock's session stops the relay too."""

    def __init__(self, connection: Connection, start: Place, cluster_id: str) -> None:
        self._connection = connection
        self._start = start
        self._cluster_id = cluster_id
        self._system_identifier = ""

    async def lead(self) -> bool:
        """Try to become the one relay of this database; true only if the lock is really held by this session.

        Behind a transaction pooler the lock would stay with another session: then this is false for ever, loudly.
        """
        connection = self._connection
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return False
        await connection.execute("; ".join(f"SET {name} = {value}" for name, value in _SESSION.items()))
        return await self.leads()

    async def leads(self) -> bool:
        """Whether this session still holds the lock.

        Raises:
            asyncpg.PostgresConnectionError, asyncpg.InterfaceError: it was ended, and the lock with it.
        """
        return bool(await self._connection.fetchval(HELD, LOCK))

    async def place(self) -> Place:
        """The saved place.

        Raises:
            RelayRefusedError: it was saved against another PostgreSQL or another Kafka; or the rows come from another
                PostgreSQL, which a log that has no place yet does not tell otherwise.
        """
        self._system_identifier = await system_identifier(self._connection)
        row = await self._connection.fetchrow(_READ)
        moved = row is not None and row["system_identifier"] != self._system_identifier
        if moved or await self._connection.fetchval(_OF_ANOTHER_CLUSTER):
            raise RelayRefusedError(
                "this database was restored into another PostgreSQL, whose transaction ids differ; "
                "run: taiwa relay rebase"
            )
        if row is None:
            return self._start
        if row["cluster_id"] != self._cluster_id:
            raise RelayRefusedError(
                "Kafka is another cluster than the one this log was published to; run: taiwa republish where its "
                "topics are empty, or: taiwa relay rebase where they were carried over"
            )
        return place_of(row)

    async def floor(self, known: int) -> int:
        """The last position drawn; if it is not the ``known`` one, a barrier stands behind this reading.

        The barrier is a transaction of our own, ended before this returns: see ``event_log_floor`` in the migrations.
        """
        floor: int = await self._connection.fetchval("SELECT event_log_floor($1)", known)
        return floor

    async def open(self, place: Place, floor: int, since: datetime, limit: int) -> tuple[list[asyncpg.Record], Place]:
        """Open a window after ``floor`` was read behind a barrier; gives its first rows, by position.

        ``since`` bounds ``recorded_at`` from below. Rows end in two columns that are the window's, not theirs.
        """
        rows = await self._connection.fetch(_OPEN, place.prev.taken, place.lower_bound, place.last, limit, since)
        opened = place.open(Snapshot(rows[0]["taken"], floor, rows[0]["taken_at"]))
        return ([] if rows[0]["position"] is None else rows), opened

    async def page(self, place: Place, since: datetime, limit: int) -> list[asyncpg.Record]:
        """The next rows of an open window, by position."""
        if place.cur is None:
            raise ValueError("no window is open")
        return await self._connection.fetch(
            _PAGE, place.prev.taken, place.lower_bound, place.last, limit, since, place.cur.taken
        )

    async def save(self, place: Place) -> int:
        """Keep the place, only after the broker's acknowledgement; gives the floor for the next window."""
        return await save_place(
            self._connection, place, system_identifier=self._system_identifier, cluster_id=self._cluster_id
        )

    @property
    def connection(self) -> Connection:
        """The session, for reading states."""
        return self._connection

    async def resign(self) -> None:
        """Give the lock and the session's settings back."""
        await self._connection.execute(_RESIGN)

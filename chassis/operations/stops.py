"""What stands still: whole consumers, paused partitions, keys over their limit; and letting them go on.

A stop is no municipality's: the consumer reads every town's records. So its recorded reason, which may quote a
record, is for the installation's operator; an administrator of a town is told the cause, and may let it be tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from chassis.consumer.ledger import REBASE
from chassis.operations.acts import Subject
from chassis.transaction import Connection

Cause = Literal["most_fail", "other_log", "went_back", "fault", "key_full"]
"""Most events fail; the log is not the one that was read; the database was restored from an earlier time; a fault that
outlasted its retries; a key over its limit."""

_ALL = "SELECT consumer, scope, topic, partition, reason, command, stopped_at FROM stops ORDER BY stopped_at, topic"

_CLEAR = "DELETE FROM stops WHERE consumer = $1 AND topic = $2 AND partition = $3 RETURNING true"


@dataclass(frozen=True, slots=True)
class Standing:
    """One stop. ``topic`` is empty and ``partition`` -1 where the whole consumer stands."""

    consumer: str
    scope: Literal["stopped", "paused", "blocked"]
    topic: str
    partition: int
    cause: Cause
    since: datetime
    reason: str
    command: str

    @property
    def resumable(self) -> bool:
        """Whether trying again is what helps; a log or a database that does not fit needs its command."""
        return self.cause not in {"other_log", "went_back"}


def _cause(row: asyncpg.Record) -> Cause:
    if row["scope"] == "stopped":
        command = f"{row['command']} "
        if command.startswith(f"{REBASE} "):
            return "went_back"
        return "other_log" if " republish " in command else "most_fail"
    return "key_full" if row["scope"] == "blocked" else "fault"


async def every(connection: Connection) -> list[Standing]:
    """Every stop of the service, the oldest first."""
    return [
        Standing(
            row["consumer"],
            row["scope"],
            row["topic"],
            row["partition"],
            _cause(row),
            row["stopped_at"],
            row["reason"],
            row["command"],
        )
        for row in await connection.fetch(_ALL)
    ]


async def resume(connection: Connection, consumer: str, topic: str, partition: int) -> Subject | None:
    """Let it be tried again at once; ``None``: it does not stand still (any more)."""
    if not await connection.fetchval(_CLEAR, consumer, topic, partition):
        return None
    return Subject(topic=topic or None, partition=partition if partition >= 0 else None)

"""Records and timers that could not be applied, and the records held behind them.

Promise: nothing that fails is lost: a dead letter keeps bytes, headers, place and reason, and it is written in the
transaction that passes the record by. Later records of its key wait behind it in order; other keys go on. An operator
replays or discards; a record deferred by ``NotYet`` is tried again by itself.

Invariant: rows of one key are dealt with in the order of their offsets, and only under the lock of their partition's
row in ``offsets``, whose ``open_letters`` counts them: zero saves every healthy batch a query.

Proven by ``tests/simulation``, ``tests/unit/chassis/messaging/test_faults.py`` and
``tests/integration/messaging/test_poison.py``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from chassis.envelope import RawRecord, readable_parts, storable
from chassis.transaction import Connection, new_id

Kind = Literal["dead", "deferred", "held"]

HELD_LIMIT = 1000
"""Records held per key; beyond it the partition stops as blocked."""

DEFERRALS = 200
"""Times a deferred record is tried; then it is dead."""

_LONGEST_DEFERRAL = timedelta(minutes=5)


def next_try(attempts: int) -> timedelta:
    """How long a record that was deferred ``attempts`` times waits: half a second, doubling, five minutes at most."""
    return min(timedelta(seconds=0.5 * 2 ** min(max(attempts - 1, 0), 12)), _LONGEST_DEFERRAL)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record is set aside. ``wait``: until the next try of a deferred one."""

    kind: Kind
    code: str
    error: str
    wait: timedelta | None = None

    def __post_init__(self) -> None:
        """An error may tell characters of the record that no column takes."""
        object.__setattr__(self, "error", storable(self.error))


HELD = Failure("held", "event.held", "waits behind an earlier record of its key")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record read back from a dead letter; looks like one from Kafka. ``topic`` bears the installation's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


def headers_text(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """Headers as JSON; values in base64, because a header may hold any bytes.

    Names too where jsonb refuses them: such a name is told twice, readable first and in base64 last.
    """
    return json.dumps([_header_json(name, value) for name, value in headers])


def _header_json(name: str, value: bytes | None) -> list[str | None]:
    text = None if value is None else base64.b64encode(value).decode()
    readable = storable(name)
    if readable == name:
        return [name, text]
    return [readable, text, base64.b64encode(name.encode(errors="surrogateescape")).decode()]


def headers_of(text: str) -> list[tuple[str, bytes | None]]:
    """The reverse of :func:`headers_text`."""
    return [
        (
            base64.b64decode(exact[0]).decode(errors="surrogateescape") if exact else name,
            None if value is None else base64.b64decode(value),
        )
        for name, value, *exact in json.loads(text)
    ]


_WRITE = """
INSERT INTO dead_letters (id, consumer, source, kind, municipality, event_id, type, aggregate, version,
                          topic, cluster_id, generation, partition, "offset", key, headers, value, holds, code,
                          error, retry_at)
VALUES ($1, $2, 'record', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        clock_timestamp() + $20::interval)
"""

_HELD_KEYS = """
SELECT topic, partition, key, count(*) AS held FROM dead_letters
WHERE consumer = $1 AND closed_at IS NULL AND holds
  AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::int[]))
GROUP BY topic, partition, key
"""

# The first open row of each key, where it is one to try: released (held with nobody before it), or due.
_HEADS = """
SELECT id, topic, partition, kind FROM (
    SELECT DISTINCT ON (topic, partition, key) id, topic, partition, kind, retry_at
    FROM dead_letters WHERE consumer = $1 AND closed_at IS NULL AND holds
    ORDER BY topic, partition, key, "offset"
) AS head
WHERE kind = 'held' OR (kind = 'deferred' AND retry_at <= clock_timestamp())
LIMIT 100
"""

_OPEN_LETTER = """
SELECT * FROM dead_letters AS it WHERE id = $1 AND closed_at IS NULL AND kind IN ('held', 'deferred')
AND NOT EXISTS (
    SELECT FROM dead_letters AS before
    WHERE before.consumer = it.consumer AND before.topic = it.topic AND before.partition = it.partition
      AND before.key = it.key AND before."offset" < it."offset" AND before.closed_at IS NULL AND before.holds
)
"""

_CLOSE = "UPDATE dead_letters SET closed_at = clock_timestamp(), outcome = $2 WHERE id = $1"

_KEEP = """
UPDATE dead_letters
SET kind = $2, code = $3, error = $4, attempts = $5, retry_at = clock_timestamp() + $6::interval
WHERE id = $1
"""

_WRITE_TIMER = """
INSERT INTO dead_letters (id, consumer, source, kind, municipality, type, aggregate, holds, code, error)
VALUES ($1, $2, 'timer', 'dead', $3, $4, $5, false, $6, $7)
"""


async def write(
    connection: Connection,
    consumer: str,
    raw: RawRecord,
    failure: Failure,
    *,
    topic: str,
    aggregate: str | None,
    version: int | None,
    cluster_id: str,
    generation: int,
    holds: bool,
) -> UUID:
    """Set a record aside (``topic`` without prefix). The caller holds its partition's row and counts it there."""
    municipality, event_id, type_ = readable_parts(raw.headers)
    if raw.key is not None and not raw.key.startswith(f"{municipality}/".encode()):
        municipality = None  # either may be wrong: no town is shown by guess what may be another's
    letter = new_id()
    await connection.execute(
        _WRITE,
        letter,
        consumer,
        failure.kind,
        municipality,
        event_id,
        type_,
        aggregate,
        version,
        topic,
        cluster_id,
        generation,
        raw.partition,
        raw.offset,
        raw.key,
        headers_text(raw.headers),
        raw.value,
        holds,
        failure.code,
        failure.error,
        failure.wait,
    )
    return letter


async def held_keys(
    connection: Connection, consumer: str, partitions: Sequence[tuple[str, int]]
) -> dict[tuple[str, int, bytes], int]:
    """Keys of these partitions behind an open letter, and how many rows each has."""
    rows = await connection.fetch(
        _HELD_KEYS, consumer, [topic for topic, _ in partitions], [partition for _, partition in partitions]
    )
    return {(row["topic"], row["partition"], row["key"]): row["held"] for row in rows}


async def heads(connection: Connection, consumer: str) -> list[tuple[UUID, str, int]]:
    """Rows to try now: (id, topic, partition)."""
    return [(row["id"], row["topic"], row["partition"]) for row in await connection.fetch(_HEADS, consumer)]


async def open_letter(connection: Connection, letter: UUID, prefix: str) -> tuple[RawRecord, int] | None:
    """An open letter's record and its attempts; ``None`` if it was closed meanwhile or something stands before it."""
    row = await connection.fetchrow(_OPEN_LETTER, letter)
    if row is None:
        return None
    raw = StoredRecord(
        prefix + row["topic"], row["partition"], row["offset"], row["key"], row["value"], headers_of(row["headers"])
    )
    return raw, row["attempts"]


async def close(connection: Connection, letter: UUID, outcome: Literal["applied", "discarded"]) -> None:
    """Close a letter; the caller lowers ``open_letters``."""
    await connection.execute(_CLOSE, letter, outcome)


async def keep(connection: Connection, letter: UUID, failure: Failure, attempts: int) -> None:
    """It failed again: note why, and when it is tried next."""
    await connection.execute(_KEEP, letter, failure.kind, failure.code, failure.error, attempts, failure.wait)


async def write_timer(
    connection: Connection, service: str, *, municipality: str, aggregate: str, name: str, code: str, error: str
) -> UUID:
    """A timer that can never run; its row in ``timers`` stays, with ``failed_at``."""
    letter = new_id()
    await connection.execute(_WRITE_TIMER, letter, service, municipality, name, aggregate, code, error)
    return letter

"""Open dead letters: what could not be applied, what is held behind it, and letting it go on.

Promise: replaying lets the running consumer (or timers role) try at once, what is held follows in order; discarding
counts the letter's version as dealt with. Both only while the letter is open, under the lock of its partition's row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from chassis.operations.acts import Subject
from chassis.refusals import Refusal
from chassis.transaction import Connection


class LetterClosed(Refusal):
    """It was replayed or discarded before."""

    code = "operations.letter_closed"
    status = 409
    ja = "この知らせは、もうやり直したか破棄しました。一覧を開き直してください。"
    en = "This dead letter is not open any more; read the list again."


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters; ``None`` is any. ``kinds``: ``dead`` waits for an operator, ``deferred`` tries again by itself."""

    consumer: str | None = None
    type: str | None = None
    code: str | None = None
    aggregate: str | None = None
    kinds: tuple[str, ...] = ("dead", "deferred")


_CHOSEN = """
municipality = $1 AND closed_at IS NULL AND kind = ANY ($2::text[])
AND ($3::text IS NULL OR consumer = $3) AND ($4::text IS NULL OR type = $4) AND ($5::text IS NULL OR code = $5)
AND ($6::text IS NULL OR aggregate = $6)
"""

# "held" is counted through the index of open keys; the record itself is of its own kind.
_HELD_BEHIND = """
SELECT count(*) FROM dead_letters AS held
WHERE held.consumer = it.consumer AND held.topic = it.topic AND held.partition = it.partition AND held.key = it.key
  AND held."offset" > it."offset" AND held.closed_at IS NULL AND held.holds
"""

_OLDEST = f"""
SELECT id, consumer, source, kind, event_id, type, aggregate, version, topic, partition, "offset", code, error,
       attempts, written_at, retry_at, ({_HELD_BEHIND}) AS held_behind
FROM dead_letters AS it
WHERE {_CHOSEN} AND ($7::timestamptz IS NULL OR (written_at, id) > ($7, $8::uuid))
ORDER BY written_at, id LIMIT $9
"""

_COUNTED = """
SELECT kind, count(*) AS letters, min(written_at) AS since FROM dead_letters
WHERE municipality = $1 AND closed_at IS NULL GROUP BY kind
"""

_ONE = f"SELECT *, ({_HELD_BEHIND}) AS held_behind FROM dead_letters AS it WHERE municipality = $1 AND id = $2"

_BEHIND = """
SELECT held.id, held.kind, held.event_id, held.type, held.aggregate, held.version, held."offset", held.written_at
FROM dead_letters AS it
JOIN dead_letters AS held
  ON held.consumer = it.consumer AND held.topic = it.topic AND held.partition = it.partition AND held.key = it.key
     AND held."offset" > it."offset" AND held.closed_at IS NULL AND held.holds
WHERE it.municipality = $1 AND it.id = $2
ORDER BY held."offset" LIMIT $3
"""

_OPEN = """
SELECT id, consumer, source, kind, municipality, event_id, type, aggregate, version, topic, partition, holds
FROM dead_letters WHERE id = $1 AND closed_at IS NULL AND kind IN ('dead', 'deferred')
"""

_LOCK_PARTITION = "SELECT FROM offsets WHERE consumer = $1 AND topic = $2 AND partition = $3 FOR UPDATE"

_TRY_NOW = """
UPDATE dead_letters SET kind = 'deferred', retry_at = clock_timestamp(), attempts = 0
WHERE id = $1 AND closed_at IS NULL AND kind IN ('dead', 'deferred')
"""

_CLOSE = """
UPDATE dead_letters SET closed_at = clock_timestamp(), outcome = $2 WHERE id = $1 AND closed_at IS NULL RETURNING true
"""

_RUN_TIMER_AGAIN = """
UPDATE timers SET failed_at = NULL, retry_at = NULL, attempts = 0
WHERE municipality = $1 AND aggregate = $2 AND name = $3
"""

_FORGET_TIMER = """
DELETE FROM timers WHERE municipality = $1 AND aggregate = $2 AND name = $3 AND failed_at IS NOT NULL
"""

_ONE_LETTER_LESS = """
UPDATE offsets SET open_letters = open_letters - 1 WHERE consumer = $1 AND topic = $2 AND partition = $3
"""

_ADVANCE = """
INSERT INTO versions (consumer, municipality, owner, aggregate, version, event_id)
VALUES ($1, $2, split_part($3, '.', 1), $4, $5, $6)
ON CONFLICT (consumer, municipality, owner, aggregate)
DO UPDATE SET version = excluded.version, event_id = excluded.event_id
WHERE versions.version < excluded.version
"""


async def oldest(
    connection: Connection,
    municipality: str,
    choice: Choice,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Open letters of a municipality, the oldest first, without their bytes; ``after``: younger than that one."""
    written_at, last = after or (None, None)
    return await connection.fetch(
        _OLDEST,
        municipality,
        list(choice.kinds),
        choice.consumer,
        choice.type,
        choice.code,
        choice.aggregate,
        written_at,
        last,
        limit,
    )


async def counted(connection: Connection, municipality: str) -> dict[str, tuple[int, datetime]]:
    """How many open letters of each kind there are, and since when."""
    rows = await connection.fetch(_COUNTED, municipality)
    return {row["kind"]: (row["letters"], row["since"]) for row in rows}


async def one(connection: Connection, municipality: str, letter: UUID) -> asyncpg.Record | None:
    """One letter, open or closed, with its bytes."""
    return await connection.fetchrow(_ONE, municipality, letter)


async def behind(connection: Connection, municipality: str, letter: UUID, limit: int) -> list[asyncpg.Record]:
    """What is held behind a letter, in order."""
    return await connection.fetch(_BEHIND, municipality, letter, limit)


async def replay(connection: Connection, letters: Sequence[UUID]) -> list[Subject]:
    """Let letters be tried again at once by the running consumer or timers role.

    Raises:
        LetterClosed: one of them is not open, or not in this connection's scope.
    """
    return [await _replay(connection, letter) for letter in letters]


async def _replay(connection: Connection, letter: UUID) -> Subject:
    row = await _open(connection, letter)
    if row["source"] == "timer":
        await connection.execute(_RUN_TIMER_AGAIN, row["municipality"], row["aggregate"], row["type"])
        await connection.execute(_CLOSE, letter, "applied")
    else:
        await connection.execute(_TRY_NOW, letter)
    return subject(row)


async def discard(connection: Connection, letter: UUID) -> Subject:
    """Give a letter up: its version counts as dealt with, and what is held behind it goes on.

    Raises:
        LetterClosed: it is not open, or not in this connection's scope.
    """
    row = await _open(connection, letter)
    if not await connection.fetchval(_CLOSE, letter, "discarded"):
        raise LetterClosed
    if row["source"] == "timer":
        await connection.execute(_FORGET_TIMER, row["municipality"], row["aggregate"], row["type"])
        return subject(row)
    if row["holds"]:
        await connection.execute(_ONE_LETTER_LESS, row["consumer"], row["topic"], row["partition"])
    if row["version"] is not None:
        await connection.execute(
            _ADVANCE,
            row["consumer"],
            row["municipality"],
            row["topic"],
            row["aggregate"],
            row["version"],
            row["event_id"],
        )
    return subject(row)


async def _open(connection: Connection, letter: UUID) -> asyncpg.Record:
    """The open letter, its partition locked as the consumer does before it touches one."""
    row = await connection.fetchrow(_OPEN, letter)
    if row is None:
        raise LetterClosed
    await connection.execute(_LOCK_PARTITION, row["consumer"], row["topic"], row["partition"])
    row = await connection.fetchrow(_OPEN, letter)
    if row is None:  # closed while we waited for the lock
        raise LetterClosed
    return row


def subject(row: asyncpg.Record) -> Subject:
    """What of a letter stands in the record of an act."""
    return Subject(row["municipality"], row["id"], row["type"], row["aggregate"], row["topic"], row["partition"])

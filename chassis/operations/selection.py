"""Open dead letters of the whole installation, chosen by what they have in common: for its operator at a terminal.

A town's administrator sees one town's letters by :mod:`chassis.operations.letters`; here a letter whose municipality
cannot be read is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.operations import acts, letters
from chassis.operations.acts import Operator
from chassis.transaction import Connection


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters; ``None`` is any. ``ids`` and the others must all fit."""

    ids: Sequence[UUID] | None = None
    type: str | None = None
    code: str | None = None
    aggregate: str | None = None
    municipality: str | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing was chosen."""
        return self == Selection()


_HELD_BEHIND = """
SELECT count(*) FROM dead_letters AS held
WHERE held.consumer = it.consumer AND held.topic = it.topic AND held.partition = it.partition AND held.key = it.key
  AND held."offset" > it."offset" AND held.closed_at IS NULL AND held.holds
"""

_SELECTED = f"""
SELECT it.id, it.consumer, it.source, it.kind, it.municipality, it.event_id, it.type, it.aggregate, it.version,
       it.topic, it.partition, it."offset", it.code, it.error, it.attempts, it.written_at, it.retry_at,
       ({_HELD_BEHIND}) AS held_behind
FROM dead_letters AS it
WHERE it.closed_at IS NULL AND it.kind IN ('dead', 'deferred')
  AND ($1::uuid[] IS NULL OR it.id = ANY ($1)) AND ($2::text IS NULL OR it.type = $2)
  AND ($3::text IS NULL OR it.code = $3) AND ($4::text IS NULL OR it.aggregate = $4)
  AND ($5::text IS NULL OR it.municipality = $5)
ORDER BY it.written_at, it.id LIMIT $6
"""


async def selected(connection: Connection, which: Selection, limit: int) -> list[asyncpg.Record]:
    """Those letters, the oldest first, without their bytes; the scope is ``*``."""
    return await connection.fetch(
        _SELECTED,
        None if which.ids is None else list(which.ids),
        which.type,
        which.code,
        which.aggregate,
        which.municipality,
        limit,
    )


async def replay(connection: Connection, ids: Sequence[UUID], by: Operator, reason: str) -> None:
    """Let letters be tried again at once, on record.

    Raises:
        chassis.operations.letters.LetterClosed: one of them is not open any more; the caller rolls back.
    """
    await acts.note(connection, by, "replayed", await letters.replay(connection, ids), reason=reason)


async def discard(connection: Connection, ids: Sequence[UUID], by: Operator, reason: str) -> None:
    """Give letters up, on record; what is held behind them goes on.

    Raises:
        chassis.operations.letters.LetterClosed: one of them is not open any more; the caller rolls back.
    """
    subjects = [await letters.discard(connection, letter) for letter in ids]
    await acts.note(connection, by, "discarded", subjects, reason=reason)

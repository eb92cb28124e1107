"""Who saw, replayed or discarded a dead letter, or resumed what stood still: when and why.

Promise: an act and its record are one transaction, and a record is never changed: the worker role may only add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from chassis.transaction import Connection, new_id

Act = Literal["seen", "replayed", "discarded", "resumed", "rebased", "republished", "rebuilt"]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts. ``staff``: a person of the town, ``id`` theirs; ``operator``: who runs the installation, by login."""

    kind: Literal["staff", "operator"]
    id: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted on, as far as it has each of these."""

    municipality: str | None = None
    letter: UUID | None = None
    type: str | None = None
    aggregate: str | None = None
    topic: str | None = None
    partition: int | None = None


_NOTE = """
INSERT INTO operator_acts (id, act, operator_kind, operator, reason, municipality, letter, type, aggregate, topic,
                           partition)
SELECT a.id, $2, $3, $4, $5, a.municipality, a.letter, a.type, a.aggregate, a.topic, a.partition
FROM unnest($1::uuid[], $6::text[], $7::uuid[], $8::text[], $9::text[], $10::text[], $11::int[])
     AS a (id, municipality, letter, type, aggregate, topic, partition)
"""

_NEWEST = """
SELECT id, act, letter, type, aggregate, topic, partition, operator_kind, operator, reason, acted_at
FROM operator_acts
WHERE municipality = $1 AND ($2::uuid IS NULL OR letter = $2)
  AND ($3::timestamptz IS NULL OR (acted_at, id) < ($3, $4::uuid))
ORDER BY acted_at DESC, id DESC LIMIT $5
"""


async def note(
    connection: Connection, operator: Operator, act: Act, subjects: Sequence[Subject], *, reason: str = ""
) -> None:
    """Record one act on each of the subjects."""
    await connection.execute(
        _NOTE,
        [new_id() for _ in subjects],
        act,
        operator.kind,
        operator.id,
        reason,
        [it.municipality for it in subjects],
        [it.letter for it in subjects],
        [it.type for it in subjects],
        [it.aggregate for it in subjects],
        [it.topic for it in subjects],
        [it.partition for it in subjects],
    )


async def newest(
    connection: Connection,
    municipality: str,
    *,
    letter: UUID | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[asyncpg.Record]:
    """Acts of a municipality, the newest first; ``before``: older than that one."""
    acted_at, last = before or (None, None)
    return await connection.fetch(_NEWEST, municipality, letter, acted_at, last, limit)

"""What a consumer has dealt with, in its service's own database: offsets per partition, versions per aggregate, stops.

Promise: the offset row is locked before anything is applied and moved in the same transaction, so that of two
processes that were given the same partition only one applies a record, and stored offsets never go back.

Proven by ``tests/simulation``, ``tests/integration/messaging/test_consumer.py`` and ``tests/resilience``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from chassis.consumer.decide import Known
from chassis.consumer.records import VersionKey
from chassis.transaction import Connection

REPUBLISH = "taiwa republish"
"""The command that mends a log which does not fit its consumers."""

REBASE = "taiwa consumer rebase"
"""The command that mends a consumer whose database was restored from an earlier time."""

Partition = tuple[str, int]
"""(topic without prefix, partition)"""


@dataclass(slots=True)
class Offset:
    """A locked row: the next offset to apply, of which log, and how many letters are open.

    ``acts_from``: records before it are copied and not acted upon. ``rebased_from``: how far Kafka had been told of
    offsets that this row does not know, when an operator rebased it.
    """

    next: int
    cluster_id: str
    generation: int
    open_letters: int
    acts_from: int
    rebased_from: int

    @property
    def log(self) -> str:
        """Which Kafka's topic it is of, and which life of it; committed to Kafka beside the offset."""
        return f"{self.cluster_id}/{self.generation}"

    def forgot(self, told: int, of_log: str) -> bool:
        """Whether Kafka was told of more of this very log than the row knows, and no operator knows of that yet.

        ``told`` must have been read before the row. Then only a restored database makes this true: an offset is told
        after it is committed here.
        """
        return of_log == self.log and told > max(self.next, self.rebased_from)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a consumer, or one partition (``topic`` not empty), stands still until it is cleared."""

    scope: Literal["stopped", "paused", "blocked"]
    reason: str
    command: str
    topic: str = ""
    partition: int = -1

    @property
    def probed(self) -> bool:
        """Whether it may pass by itself: everything but a bad deploy."""
        return bool(self.topic) or self.command.startswith((REPUBLISH, REBASE))


# Locked in one order by everybody, so that two processes with several partitions in common cannot deadlock.
_LOCK = """
SELECT topic, partition, next, cluster_id, generation, open_letters, acts_from, rebased_from FROM offsets
WHERE consumer = $1 AND (topic, partition) IN (SELECT * FROM unnest($2::text[], $3::int[]))
ORDER BY topic, partition FOR UPDATE
"""

# One look into the index for each key. A plain join is planned while the table is empty and then reads all of it, as
# long as that plan is kept: seen to make a batch of 29 take half a second at 5,000 aggregates.
_VERSIONS = """
SELECT v.municipality, v.owner, v.aggregate, v.version, v.event_id
FROM unnest($2::text[], $3::text[], $4::text[]) AS k (municipality, owner, aggregate)
CROSS JOIN LATERAL (
    SELECT * FROM versions AS it
    WHERE it.consumer = $1 AND it.municipality = k.municipality AND it.owner = k.owner AND it.aggregate = k.aggregate
    LIMIT 1
) AS v
"""

_MOVE = """
UPDATE offsets AS o SET
    next = m.next,
    open_letters = o.open_letters + m.letters,
    acts_from = CASE WHEN o.acts_from > m.next THEN o.acts_from ELSE 0 END
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::int[]) AS m (topic, partition, next, letters)
WHERE o.consumer = $1 AND o.topic = m.topic AND o.partition = m.partition
"""

_ADVANCE_AND_MOVE = f"""
WITH advanced AS (
    INSERT INTO versions (consumer, municipality, owner, aggregate, version, event_id)
    SELECT $1, * FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::uuid[])
    ON CONFLICT (consumer, municipality, owner, aggregate)
    DO UPDATE SET version = excluded.version, event_id = excluded.event_id
)
{_MOVE}
"""

_TAKE = """
INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation)
SELECT $1, t.topic, t.partition, t.next, $5, t.generation
FROM unnest($2::text[], $3::int[], $4::bigint[], $6::int[]) AS t (topic, partition, next, generation)
ON CONFLICT DO NOTHING
"""

_STOPS = "SELECT scope, reason, command, topic, partition FROM stops WHERE consumer = $1"

_STOP = """
INSERT INTO stops (consumer, scope, topic, partition, reason, command) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (consumer, topic, partition)
DO UPDATE SET scope = excluded.scope, reason = excluded.reason, command = excluded.command
"""

_CLEAR = "DELETE FROM stops WHERE consumer = $1 AND topic = $2 AND partition = $3"


class Ledger:
    """The rows of one consumer. ``consumer``: the service's name, or ``rebuild:<name>``."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer

    async def lock(self, connection: Connection, partitions: Sequence[Partition]) -> dict[Partition, Offset]:
        """The offset rows, locked until the transaction ends."""
        rows = await connection.fetch(
            _LOCK, self.consumer, [topic for topic, _ in partitions], [partition for _, partition in partitions]
        )
        return {(row[0], row[1]): Offset(*row[2:]) for row in rows}

    async def take(
        self,
        connection: Connection,
        beginnings: Mapping[Partition, int],
        cluster_id: str,
        generation: Callable[[str], int],
    ) -> None:
        """Make the rows of partitions that are seen for the first time, at their beginnings."""
        await connection.execute(
            _TAKE,
            self.consumer,
            [topic for topic, _ in beginnings],
            [partition for _, partition in beginnings],
            list(beginnings.values()),
            cluster_id,
            [generation(topic) for topic, _ in beginnings],
        )

    async def versions(self, connection: Connection, keys: Sequence[VersionKey]) -> dict[VersionKey, Known]:
        """The newest version of each aggregate that is known."""
        if not keys:
            return {}
        rows = await connection.fetch(_VERSIONS, self.consumer, *(list(column) for column in zip(*keys, strict=True)))
        return {(row[0], row[1], row[2]): Known(row[3], row[4]) for row in rows}

    async def settle(
        self,
        connection: Connection,
        moved: Mapping[Partition, tuple[int, int]],
        versions: Mapping[VersionKey, Known] | None = None,
    ) -> None:
        """Set the next offset of partitions, change their count of open letters by the second number, note versions."""
        offsets = (
            [topic for topic, _ in moved],
            [partition for _, partition in moved],
            [next_offset for next_offset, _ in moved.values()],
            [letters for _, letters in moved.values()],
        )
        if versions:
            keys, newest = zip(*versions, strict=True), zip(*versions.values(), strict=True)
            await connection.execute(_ADVANCE_AND_MOVE, self.consumer, *offsets, *keys, *newest)
        else:
            await connection.execute(_MOVE, self.consumer, *offsets)

    async def stops(self, connection: Connection) -> list[Stop]:
        """What stands still, and why."""
        rows = await connection.fetch(_STOPS, self.consumer)
        return [Stop(**dict(row)) for row in rows]

    async def stop(self, connection: Connection, stop: Stop) -> None:
        """Record a stop; it survives a restart."""
        await connection.execute(
            _STOP, self.consumer, stop.scope, stop.topic, stop.partition, stop.reason, stop.command
        )

    async def clear(self, connection: Connection, topic: str = "", partition: int = -1) -> None:
        """Clear a stop."""
        await connection.execute(_CLEAR, self.consumer, topic, partition)

    async def event_of(self, connection: Connection, key: VersionKey) -> UUID | None:
        """The event that made the newest known version of an aggregate."""
        found: UUID | None = await connection.fetchval(
            "SELECT event_id FROM versions WHERE consumer = $1 AND municipality = $2 AND owner = $3 AND aggregate = $4",
            self.consumer,
            *key,
        )
        return found

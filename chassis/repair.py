"""What an operator does to the messaging of a service: rebase, republish, replay, discard, clear a stop.

Promise: each may be run while everything runs. Rebase and republish take the relay's lock from whoever holds it, so no
relay works meanwhile, and make it begin again from a place that repeats events and loses none; consumers drop
repeats by their versions. Needs an administrator's connection: row-level security is for services.

Proven by ``tests/integration/messaging/test_repair.py`` and ``tests/simulation``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from aiokafka import TopicPartition

from chassis.clocks import monotonic
from chassis.consumer.ledger import REBASE, Offset
from chassis.database import database_name
from chassis.kafka import cluster_id, committed
from chassis.operations import acts, letters, stops
from chassis.operations.acts import Operator, Subject
from chassis.relay.log import LOCK, place_of, save_place, system_identifier
from chassis.relay.window import START, Place, Snapshot
from chassis.settings import InstallationSettings
from chassis.topics import TopicSpec, delete_topics, ensure_topics, generations

_PATIENCE = 30.0

_LAST_SENDS = 3.0
"""Seconds within which the producer of a relay that lost its session has stopped to send."""

_SOMEBODY = Operator("operator", "")

_HOLDERS = """
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = $1::bigint >> 32 AND objid::bigint = ($1::bigint & 4294967295)
"""

_LOCK_LOG = "LOCK TABLE event_log IN SHARE ROW EXCLUSIVE MODE"

_UNPUBLISHED_ABOVE = """
SELECT least($1, (SELECT min(position) - 1 FROM event_log
                  WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip($2::text::pg_snapshot)))))
"""

_SNAPSHOT = "SELECT pg_current_snapshot()::text AS taken, clock_timestamp() AS at"

_PUBLISH_AGAIN = "UPDATE event_log SET xid = pg_current_xact_id() WHERE position > $1"

# An id that this cluster has not given yet is visible in no snapshot: rows that bear one would be passed over when they
# are published again.
_BE_OLD = """
UPDATE event_log SET xid = '1'
WHERE position <= $1 AND xid >= pg_snapshot_xmin($2::text::pg_snapshot)
"""

_EVERY_POSITION = 2**63 - 1

_FORGET_PLACE = "DELETE FROM relay_place"

_COUNT = "SELECT count(*) FROM event_log WHERE topic = ANY ($1)"

# A line that a rebase drew is of the old log; where its producer was restored too, others stand below it now.
_BEGIN_AGAIN = """
UPDATE offsets AS o SET
    next = 0, cluster_id = $2, generation = g.generation,
    acts_from = CASE WHEN o.rebased_from > 0 THEN 0 ELSE o.acts_from END, rebased_from = 0
FROM unnest($3::text[], $4::int[]) AS g (topic, generation) WHERE o.consumer = $1 AND o.topic = g.topic
"""

# Under the locks of _BEGIN_AGAIN. Letters of the old log would stand in the way of their own records: one that tells of
# a gap comes before the events that were missing, which then wait behind it. Without an outcome: neither applied nor
# given up, they come again.
_FORGET_LETTERS = """
WITH forgotten AS (
    UPDATE dead_letters SET closed_at = clock_timestamp()
    WHERE consumer = $1 AND topic = ANY ($2) AND closed_at IS NULL AND aggregate IS NOT NULL
    RETURNING topic, partition, holds
)
UPDATE offsets AS o SET open_letters = o.open_letters - f.letters
FROM (SELECT topic, partition, count(*) FILTER (WHERE holds) AS letters FROM forgotten GROUP BY 1, 2) AS f
WHERE o.consumer = $1 AND o.topic = f.topic AND o.partition = f.partition
"""

_OFFSETS = """
SELECT topic, partition, next, cluster_id, generation, open_letters, acts_from, rebased_from FROM offsets
WHERE consumer = $1 ORDER BY topic, partition FOR UPDATE
"""

_GO_ON_FROM = """
UPDATE offsets AS o SET
    rebased_from = k.told, acts_from = CASE WHEN $2 THEN o.acts_from ELSE greatest(o.acts_from, k.told) END
FROM unnest($3::text[], $4::int[], $5::bigint[]) AS k (topic, partition, told)
WHERE o.consumer = $1 AND o.topic = k.topic AND o.partition = k.partition
"""

_FORGET_STOP = "DELETE FROM stops WHERE consumer = $1 AND command = $2"

_FORGET_STOPS = "DELETE FROM stops WHERE consumer = $1 AND command LIKE 'taiwa republish %'"


class RepairError(Exception):
    """It cannot be done; the message says why."""


@asynccontextmanager
async def _administrator(
    admin_url: str, installation: InstallationSettings, service: str
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(admin_url, database=database_name(installation, service))
    try:
        yield connection
    finally:
        await connection.close()


async def _take_over(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Take the relay's lock; its present holder loses its session and waits for the lock like anybody.

    What a holder had on its way to Kafka has arrived, or was given up, when this returns.
    """
    deadline, holders = monotonic() + _PATIENCE, False
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if monotonic() > deadline:
            raise RepairError("the relay's lock could not be taken; stop the service's relay and try again")
        holders = True
        await connection.fetch(_HOLDERS, LOCK)
        await asyncio.sleep(0.05)
    if holders:
        await asyncio.sleep(_LAST_SENDS)


async def relay_rebase(admin_url: str, installation: InstallationSettings, service: str) -> int:
    """Make the relay go on in a PostgreSQL its log was restored into, or to a Kafka its topics were carried over to.

    Restored rows bear transaction ids of another cluster. Those that may be unpublished get this transaction's id and
    are published (again); gives how many. Everything else was published before, and gets an id older than any snapshot.
    """
    async with _administrator(admin_url, installation, service) as connection:
        await _take_over(connection)
        kafka = await cluster_id(installation)
        identifier = await system_identifier(connection)
        async with connection.transaction():
            await connection.execute(_LOCK_LOG)  # nobody writes meanwhile
            row = await connection.fetchrow("SELECT * FROM relay_place")
            old = START if row is None else place_of(row)
            floor = await connection.fetchval(_UNPUBLISHED_ABOVE, old.prev.floor, old.prev.taken)
            taken = await connection.fetchrow(_SNAPSHOT)
            if taken is None:
                raise RepairError("PostgreSQL gives no snapshot")
            await connection.execute(_BE_OLD, floor, taken["taken"])
            done = await connection.execute(_PUBLISH_AGAIN, floor)
            # Rows may be older than the snapshot by any time: the first window looks at all partitions.
            place = Place(prev=Snapshot(taken["taken"], floor, START.prev.taken_at))
            await save_place(connection, place, system_identifier=identifier, cluster_id=kafka)
    return int(done.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Records of a partition that a restored database forgot that it dealt with: from ``since`` up to ``until``."""

    topic: str
    partition: int
    since: int
    until: int


async def consumer_rebase(
    admin_url: str,
    installation: InstallationSettings,
    service: str,
    *,
    act: bool = False,
    dry_run: bool = False,
    by: Operator = _SOMEBODY,
    reason: str = "",
) -> list[Forgotten]:
    """Make a consumer go on whose database was restored from an earlier time; gives what that forgot.

    Its projections are brought up to date; its reactions leave those records out, as they acted on them before, unless
    ``act``: then they act again, and mails of that stretch are sent a second time. ``dry_run`` changes nothing.

    Raises:
        OSError, asyncpg.PostgresError, aiokafka.errors.KafkaError: a server cannot be reached; run it again.
    """
    prefix = installation.prefix
    told = await committed(installation, f"{prefix}{service}")  # before the rows, as the consumer does
    async with _administrator(admin_url, installation, service) as connection, connection.transaction():
        forgotten = []
        for row in await connection.fetch(_OFFSETS, service):
            offset = Offset(*tuple(row)[2:])
            until, of_log = told.get(TopicPartition(f"{prefix}{row['topic']}", row["partition"]), (0, ""))
            if offset.forgot(until, of_log):
                forgotten.append(Forgotten(row["topic"], row["partition"], offset.next, until))
        if not dry_run:
            topics, partitions = [it.topic for it in forgotten], [it.partition for it in forgotten]
            await connection.execute(_GO_ON_FROM, service, act, topics, partitions, [it.until for it in forgotten])
            await connection.execute(_FORGET_STOP, service, f"{REBASE} {service}")
            how = "; acts again" if act else ""
            subjects = [Subject(topic=it.topic, partition=it.partition) for it in forgotten]
            await acts.note(connection, by, "rebased", subjects, reason=f"{reason}{how}")
    return forgotten


Also = Callable[["asyncpg.Connection[asyncpg.Record]", str], Awaitable[None]]
"""More to do for a consumer that starts over, in the same transaction: gets its database and its name."""


async def republish(
    admin_url: str,
    installation: InstallationSettings,
    service: str,
    topics: Iterable[TopicSpec],
    consumers: Iterable[str],
    *,
    also: Also | None = None,
) -> int:
    """Make a service's topics anew and let its relay publish the whole log again; gives the number of events.

    ``consumers``: the services whose offsets are set to the start of the new topics; versions keep every event from
    taking effect twice. Letters of the old log are closed: their events come again, and fail again if they must. A
    running relay begins at once, else the next one does.
    """
    specs = list(topics)
    async with _administrator(admin_url, installation, service) as connection:
        await _take_over(connection)
        await delete_topics(installation, [spec.name for spec in specs])
        await ensure_topics(installation, specs)
        async with connection.transaction():
            await connection.execute(_LOCK_LOG)
            await connection.execute(_BE_OLD, _EVERY_POSITION, await connection.fetchval(_SNAPSHOT))
            await connection.execute(_FORGET_PLACE)
        for consumer in consumers:
            await _start_over(admin_url, installation, consumer, [spec.name for spec in specs], also)
        count: int = await connection.fetchval(_COUNT, [spec.name for spec in specs])
    return count


async def _start_over(
    admin_url: str, installation: InstallationSettings, service: str, topics: list[str], also: Also | None
) -> None:
    known = await generations(installation)
    kafka = await cluster_id(installation)
    async with _administrator(admin_url, installation, service) as connection, connection.transaction():
        now = [known.get(topic, 1) for topic in topics]
        await connection.execute(_BEGIN_AGAIN, service, kafka, topics, now)
        await connection.execute(_FORGET_LETTERS, service, topics)
        await connection.execute(_FORGET_STOPS, service)
        if also is not None:
            await also(connection, service)


async def clear_stop(
    admin_url: str, installation: InstallationSettings, service: str, *, by: Operator = _SOMEBODY, reason: str = ""
) -> int:
    """Let a stopped consumer, and its paused and blocked partitions, go on; gives how many stops were cleared."""
    async with _administrator(admin_url, installation, service) as connection, connection.transaction():
        cleared = [
            await stops.resume(connection, stop.consumer, stop.topic, stop.partition)
            for stop in await stops.every(connection)
            if stop.consumer == service
        ]
        subjects = [subject for subject in cleared if subject is not None]
        await acts.note(connection, by, "resumed", subjects, reason=reason)
    return len(subjects)


async def replay(
    admin_url: str,
    installation: InstallationSettings,
    service: str,
    letter: UUID,
    *,
    by: Operator = _SOMEBODY,
    reason: str = "",
) -> None:
    """Let a dead letter be tried again, at once, by the running consumer or timers role.

    Raises:
        RepairError: there is no such open letter.
    """
    async with _administrator(admin_url, installation, service) as connection, connection.transaction():
        try:
            subjects = await letters.replay(connection, [letter])
        except letters.LetterClosed as closed:
            raise RepairError(f"there is no open dead letter {letter}") from closed
        await acts.note(connection, by, "replayed", subjects, reason=reason)


async def discard(
    admin_url: str,
    installation: InstallationSettings,
    service: str,
    letter: UUID,
    *,
    by: Operator = _SOMEBODY,
    reason: str = "",
) -> None:
    """Give a dead letter up: its version counts as dealt with, and what is held behind it goes on.

    Raises:
        RepairError: there is no such open letter.
    """
    async with _administrator(admin_url, installation, service) as connection, connection.transaction():
        try:
            subject = await letters.discard(connection, letter)
        except letters.LetterClosed as closed:
            raise RepairError(f"there is no open dead letter {letter}") from closed
        await acts.note(connection, by, "discarded", [subject], reason=reason)

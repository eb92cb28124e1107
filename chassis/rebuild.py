"""Builds a projection anew from its topics, beside the old one, while the service runs; then puts the old one right.

Promise: readers see the old rows or the new ones, never a half. No reaction runs. A rebuild that is killed goes on
where it was, or is abandoned without a trace; code or tables that changed meanwhile make it begin again. What it
cannot apply ends it, and the old rows stay.

How: the projection's own code runs as consumer ``rebuild:<projection>`` on connections whose search path begins with a
schema that holds empty tables of the same names. It follows the service's consumer and never passes it: of a topic of
facts it takes what the service has dealt with, and passes by what the service has set aside as a dead letter, until
the service applies that. So at any moment it is exactly what the service would hold had it never erred; where the
service reads a topic again that was made anew, once it has come as far as it was. The end is one
transaction under the lock of the service's offsets: both stand at the same place, and ``put_right`` (migration 0007)
deletes and inserts the rows that differ. A topic of states is read to its end: a state that is ahead does no harm.

Why not by renaming tables: docs/decisions/0012. Proven by ``tests/integration/messaging/test_rebuild.py``.
"""

from __future__ import annotations

import hashlib
import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.clocks import monotonic
from chassis.consumer.assignment import Logs, republish
from chassis.consumer.decide import Judgement, Known, Verdict, judge
from chassis.consumer.effects import Effects
from chassis.consumer.ledger import Ledger, Partition
from chassis.consumer.records import Incoming, Reader, VersionKey
from chassis.database import ALL_MUNICIPALITIES, Database, database_name, role_name
from chassis.dead_letters import StoredRecord, headers_of
from chassis.operations import acts
from chassis.operations.acts import Operator, Subject
from chassis.service import Projection, Received, Service
from chassis.settings import InstallationSettings
from chassis.transaction import Connection

BATCH = 2000
"""Most records of one transaction."""

_LOCK = 0x72656275696C64
"""``rebuild`` in ASCII: one at a time in a service's database."""

_ANALYSE_AFTER = 2000
"""Records after which the new tables' statistics are first taken; then whenever there are twice as many."""

_LAST_STEP_SECONDS = 10.0
"""How long the service's consumer may be kept waiting while the last records are fetched and the rows put right."""

_SOMEBODY = Operator("operator", "")

Progress = Callable[[int, int], None]
"""Told (records dealt with, records to deal with) after each batch."""


class RebuildError(Exception):
    """It cannot be done, or not now; the message says why and what to do."""


class _BehindError(Exception):
    """The service's consumer has moved on meanwhile, or has not come again to where it was."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What differed in one table: rows that were missing, had other values, or should not have been there."""

    table: str
    missing: int
    wrong: int
    surplus: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it. ``resumed``: it went on where one that was ended had been."""

    projections: tuple[str, ...]
    records: int
    differences: tuple[Difference, ...]
    seconds: float
    resumed: bool
    changed: bool


def together_with(service: Service, name: str) -> tuple[Projection, ...]:
    """The projections that must be rebuilt with this one, because they write the same tables; itself among them.

    Raises:
        RebuildError: there is no such projection.
    """
    if all(projection.name != name for projection in service.projections):
        known = ", ".join(projection.name for projection in service.projections)
        raise RebuildError(f"{service.name} has no projection {name}; it has: {known or 'none'}")
    names, tables = {name}, set[str]()
    while True:
        tables |= {table for it in service.projections if it.name in names for table in it.written}
        wider = {it.name for it in service.projections if tables & set(it.written)}
        if wider == names:
            return tuple(it for it in service.projections if it.name in names)
        names = wider


def schema_of(name: str) -> str:
    """The schema in which a projection is built."""
    return f"rebuild_{name.rpartition('.')[2]}"


@dataclass(frozen=True, slots=True)
class _Letter:
    """What the service has set aside, as far as it matters here. ``outcome``: ``None`` while it is open."""

    id: UUID
    offset: int
    event_id: UUID | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class _Live:
    """Where the service's consumer stands in one partition, and its letters, as of one snapshot."""

    next: int
    log: tuple[str, int]
    letters: Sequence[_Letter]


# One statement, so one snapshot: a letter that is closed in it was followed by nothing that is not below ``next``.
_LIVE = """
SELECT o.next, o.cluster_id, o.generation, l.id, l."offset", l.event_id, l.outcome
FROM offsets AS o
LEFT JOIN dead_letters AS l
  ON l.consumer = o.consumer AND l.topic = o.topic AND l.partition = o.partition
 AND (
    l.id = ANY ($4::uuid[])
    OR (
        (l.closed_at IS NULL OR l.outcome = 'discarded')
        AND (
            l.event_id = ANY ($5::uuid[])
            OR (l."offset" = ANY ($6::bigint[]) AND l.cluster_id = o.cluster_id AND l.generation = o.generation)
        )
    )
 )
WHERE o.consumer = $1 AND o.topic = $2 AND o.partition = $3
ORDER BY l."offset"
"""

# After a republish the offsets begin again and the versions do not: the rows hold more than lies before the offsets.
_HOLDS_MORE = """
SELECT EXISTS (
    SELECT FROM versions AS s
    WHERE s.consumer = $1
      AND (s.owner, split_part(s.aggregate, '/', 1)) IN (SELECT * FROM unnest($3::text[], $4::text[]))
      AND NOT EXISTS (
        SELECT FROM versions AS b
        WHERE b.consumer = $2 AND b.municipality = s.municipality AND b.owner = s.owner AND b.aggregate = s.aggregate
          AND b.version >= s.version
    )
)
"""

_PASSED_SO_FAR = "SELECT passed FROM rebuilds WHERE projection = $1"
_PASSED = "UPDATE rebuilds SET passed = $2 WHERE projection = $1"

_FORGET = (
    "DELETE FROM offsets WHERE consumer = 'rebuild:' || $1",
    "DELETE FROM versions WHERE consumer = 'rebuild:' || $1",
    "DELETE FROM rebuilds WHERE projection = $1",
)


@dataclass(slots=True)
class _Builder:
    """Applies records to the tables beside. Everything it knows besides ``ahead`` stands in the database."""

    name: str
    live: str
    database: Database
    reader: Reader
    effects: Effects
    prefix: str
    partitions: list[Partition]
    ahead: dict[Partition, deque[Incoming]] = field(default_factory=dict)
    """Records that were fetched and may not be taken yet."""
    applied: int = 0

    @property
    def ledger(self) -> Ledger:
        """Offsets and versions of this rebuild."""
        return Ledger(f"rebuild:{self.name}")

    async def _look(
        self, connection: Connection, partition: Partition, passed: Sequence[UUID], records: Sequence[Incoming]
    ) -> _Live:
        ids = [it.envelope.id for it in records if it.envelope is not None]
        rows = await connection.fetch(_LIVE, self.live, *partition, passed, ids, [it.offset for it in records])
        if not rows:
            raise RebuildError(f"{self.live} has no offset of {partition[0]}-{partition[1]} any more; begin again")
        return _Live(
            rows[0]["next"],
            (rows[0]["cluster_id"], rows[0]["generation"]),
            [_Letter(row["id"], row["offset"], row["event_id"], row["outcome"]) for row in rows if row["id"]],
        )

    async def take(self, connection: Connection, partition: Partition) -> tuple[int, int]:
        """Take what may be taken of a partition; gives the next offset and the service's."""
        own = (await self.ledger.lock(connection, [partition]))[partition]
        before: list[UUID] = await connection.fetchval(_PASSED_SO_FAR, self.name)
        # Nothing leaves ``ahead`` here: this transaction may yet be rolled back.
        batch = list(islice((it for it in self.ahead[partition] if it.offset >= own.next), BATCH))
        live = await self._look(connection, partition, before, batch)
        if live.log != (own.cluster_id, own.generation):
            raise RebuildError(f"{partition[0]} was made anew meanwhile; begin again with the same command")
        state = partition[0] in self.reader.compacted
        fresh = [it for it in batch if it.offset < live.next or (state and it.subject.problem is None)]
        steps, passed = self._steps(live, fresh, before, await self._closed(connection, live, before))
        advanced = await self._apply(connection, partition, steps)
        if passed != before:
            await connection.execute(_PASSED, self.name, passed)
        at = fresh[-1].offset + 1 if fresh else own.next
        await self.ledger.settle(connection, {partition: (at, 0)}, advanced)
        return at, live.next

    def took(self, partition: Partition, at: int) -> None:
        """The transaction was committed: forget what lies before ``at``."""
        waiting = self.ahead[partition]
        while waiting and waiting[0].offset < at:
            waiting.popleft()
            self.applied += 1

    async def _closed(self, connection: Connection, live: _Live, passed: Sequence[UUID]) -> dict[UUID, Incoming]:
        """The records of letters that were passed by and closed since."""
        ids = [it.id for it in live.letters if it.outcome is not None and it.id in passed]
        if not ids:
            return {}
        rows = await connection.fetch("SELECT * FROM dead_letters WHERE id = ANY ($1)", ids)
        return {
            row["id"]: self.reader.read(
                StoredRecord(
                    self.prefix + row["topic"],
                    row["partition"],
                    row["offset"],
                    row["key"],
                    row["value"],
                    headers_of(row["headers"]),
                )
            )
            for row in rows
        }

    @staticmethod
    def _steps(
        live: _Live, fresh: Sequence[Incoming], before: Sequence[UUID], closed: dict[UUID, Incoming]
    ) -> tuple[list[tuple[Incoming, bool]], list[UUID]]:
        """Records in order, each with whether it was given up; and the letters passed by so far."""
        steps = [(closed[it.id], it.outcome == "discarded") for it in live.letters if it.id in closed]
        passed = [it for it in before if it not in closed]
        by_event = {it.event_id: it for it in live.letters if it.event_id is not None and it.id not in closed}
        by_offset = {it.offset: it for it in live.letters if it.event_id is None}
        for record in fresh:
            letter = by_event.get(record.envelope.id) if record.envelope is not None else None
            letter = letter or by_offset.get(record.offset)
            if letter is None:
                steps.append((record, False))
            elif letter.outcome is None:
                passed.append(letter.id)
            else:
                steps.append((record, True))
        return steps, passed

    async def _apply(
        self, connection: Connection, partition: Partition, steps: Sequence[tuple[Incoming, bool]]
    ) -> dict[VersionKey, Known]:
        keys = dict.fromkeys(key for key in (_aggregate(record) for record, _ in steps) if key is not None)
        known = await self.ledger.versions(connection, list(keys))
        advanced: dict[VersionKey, Known] = {}
        wanted: list[Received[Any]] = []
        for record, given_up in steps:
            key = _aggregate(record)
            now = known.get(key) if key is not None else None
            judgement = Judgement(Verdict.PASS) if given_up else judge(record.subject, now, key_is_held=False)
            if judgement.verdict is Verdict.DEAD:
                place = f"{partition[0]}-{partition[1]} at offset {record.offset}"
                raise RebuildError(f"the record of {place} cannot be applied: {judgement.reason}")
            if judgement.verdict is Verdict.APPLY and record.received is not None:
                wanted.append(record.received)
            if key is None or record.envelope is None or judgement.verdict is Verdict.SKIP:
                continue
            if now is None or now.version < record.envelope.version:
                known[key] = advanced[key] = Known(record.envelope.version, record.envelope.id)
        if wanted:
            try:
                await self.effects.apply(connection, wanted)
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError):
                raise
            except Exception as error:
                place = f"{partition[0]}-{partition[1]}, offsets {wanted[0].offset} to {wanted[-1].offset}"
                raise RebuildError(f"{place}: the projection fails with {type(error).__name__}: {error}") from error
        return advanced


def _aggregate(record: Incoming) -> VersionKey | None:
    """Whose version a record counts for, also one whose payload cannot be read: a discarded one counts."""
    if record.version_key is not None or record.envelope is None or record.subject.state:
        return record.version_key
    return record.envelope.municipality, record.topic.partition(".")[0], record.envelope.aggregate


class _Source:
    """The topics, read from where the rebuild stands."""

    def __init__(self, installation: InstallationSettings, builder: _Builder) -> None:
        self._builder = builder
        self._prefix = installation.prefix
        self._places = [TopicPartition(f"{self._prefix}{topic}", number) for topic, number in builder.partitions]
        self._client = AIOKafkaConsumer(
            bootstrap_servers=installation.kafka, client_id="taiwa-rebuild", enable_auto_commit=False
        )

    async def start(self, at: dict[Partition, int]) -> dict[Partition, int]:
        """Connect and seek; gives where each log begins."""
        self._client.assign(self._places)
        await self._client.start()
        begin = {
            self._partition(it): start for it, start in (await self._client.beginning_offsets(self._places)).items()
        }
        for place in self._places:
            self._client.seek(place, max(at[self._partition(place)], begin[self._partition(place)]))
        return begin

    async def fetch(self, wait_ms: int = 200) -> bool:
        """Put what comes behind what waits; whether anything came. A partition far ahead is not fetched from."""
        ahead = self._builder.ahead
        full = [it for it in self._places if len(ahead[self._partition(it)]) > 2 * BATCH]
        self._client.pause(*full)
        self._client.resume(*[it for it in self._places if it not in full])
        got = await self._client.getmany(timeout_ms=wait_ms, max_records=5 * BATCH)
        for place, records in got.items():
            ahead[self._partition(place)].extend(map(self._builder.reader.read, records))
        return bool(got)

    async def at_end(self, partitions: Sequence[Partition]) -> bool:
        """Whether nothing of these is left to fetch or to take."""
        places = [it for it in self._places if self._partition(it) in partitions]
        ends = await self._client.end_offsets(places)
        for place, end in ends.items():
            if self._builder.ahead[self._partition(place)] or await self._client.position(place) < end:
                return False
        return True

    async def stop(self) -> None:
        await self._client.stop()

    def _partition(self, place: TopicPartition) -> Partition:
        return place.topic[len(self._prefix) :], place.partition


async def rebuild(
    admin_url: str,
    service: Service,
    name: str,
    *,
    change: bool = True,
    afresh: bool = False,
    progress: Progress = lambda _done, _total: None,
    by: Operator = _SOMEBODY,
    reason: str = "",
) -> Rebuilt:
    """Build a projection (``<service>.<table>``) beside the old one, and put the old one right.

    ``change=False`` builds and compares, and changes nothing. ``afresh`` forgets an earlier attempt. The administrator
    makes the tables; the projection's code runs as the service's worker.

    Raises:
        RebuildError: see its message; the old rows are as they were.
        OSError, asyncpg.PostgresError, aiokafka.errors.KafkaError: a server cannot be reached; run it again.
    """
    began = monotonic()
    projections = together_with(service, name)
    name = projections[0].name
    installation = service.settings.installation
    async with _alone(admin_url, installation, service.name) as admin:
        resumed = await _prepare(admin, installation, service, projections, afresh=afresh)
        password = service.settings.database_password.get_secret_value()
        path = f"{schema_of(name)}, public"
        worker = await Database.connect(installation, service.name, "worker", password, 2, search_path=path)
        try:
            differences, records = await _build(
                admin, worker, service, projections, progress=progress, by=(by, reason) if change else None
            )
        finally:
            await worker.close()
        await _drop(admin, name)
    return Rebuilt(
        tuple(it.name for it in projections), records, differences, round(monotonic() - began, 2), resumed, change
    )


async def abandon(admin_url: str, installation: InstallationSettings, service: str, name: str) -> bool:
    """Forget a rebuild that was ended in the middle; false if there was none.

    Raises:
        RebuildError: it is running.
    """
    async with _alone(admin_url, installation, service) as admin:
        there: bool = await admin.fetchval("SELECT EXISTS (SELECT FROM rebuilds WHERE projection = $1)", name)
        await _drop(admin, name)
        return there


async def unfinished(connection: Connection) -> list[dict[str, Any]]:
    """Rebuilds that run or were ended in the middle: projection, when they began."""
    return [dict(row) for row in await connection.fetch("SELECT projection, began_at FROM rebuilds ORDER BY 1")]


async def checksums(connection: Connection, tables: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Rows and checksum of each table: equal for equal rows, in whatever order they lie."""
    found = {}
    for table in tables:
        row = await connection.fetchrow("SELECT held, checksum FROM checksum_of($1)", table)
        if row is not None:
            found[table] = (row["held"], row["checksum"])
    return found


@asynccontextmanager
async def _alone(
    admin_url: str, installation: InstallationSettings, service: str
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    admin = await asyncpg.connect(admin_url, database=database_name(installation, service))
    try:
        if not await admin.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            raise RebuildError(f"another rebuild of {service} is running; wait for it")
        yield admin
    finally:
        await admin.close()


def _fingerprint(projections: Sequence[Projection], migrations: Sequence[str]) -> str:
    """Of the code that applies and of the tables it applies to: what was built by other code is not gone on with."""
    parts = [*migrations]
    for it in projections:
        module = inspect.getmodule(it.apply)
        parts += [it.name, *(event.TYPE for event in it.events), "" if module is None else inspect.getsource(module)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


async def _prepare(
    admin: asyncpg.Connection[asyncpg.Record],
    installation: InstallationSettings,
    service: Service,
    projections: Sequence[Projection],
    *,
    afresh: bool,
) -> bool:
    """Make the empty tables, unless an earlier attempt can be gone on with; whether it can."""
    name = projections[0].name
    ran = await admin.fetch("SELECT name, checksum FROM schema_migrations ORDER BY name")
    fingerprint = _fingerprint(projections, [f"{row['name']} {row['checksum']}" for row in ran])
    logs = Logs(installation)
    await logs.refresh()
    topics = sorted({event.TOPIC for it in projections for event in it.events})
    live = await admin.fetch(
        "SELECT * FROM offsets WHERE consumer = $1 AND topic = ANY ($2) ORDER BY topic, partition", service.name, topics
    )
    if absent := sorted(set(topics) - {row["topic"] for row in live}):
        raise RebuildError(f"{service.name} has not consumed {', '.join(absent)} yet: there is nothing to rebuild")
    for row in live:
        if (row["cluster_id"], row["generation"]) != (logs.cluster_id, logs.generation(row["topic"])):
            raise RebuildError(
                f"{service.name} does not stand in the present {row['topic']}; run first: {republish(row['topic'])}"
            )
    done = await admin.fetchval("SELECT fingerprint FROM rebuilds WHERE projection = $1", name)
    if not afresh and done == fingerprint and await _fits(admin, service.name, name, topics):
        return True
    await _drop(admin, name)
    schema, owner = schema_of(name), role_name(installation, service.name, "owner")
    worker = role_name(installation, service.name, "worker")
    async with admin.transaction():
        await admin.execute(f'SET LOCAL ROLE "{owner}"; CREATE SCHEMA "{schema}"')
        for table in dict.fromkeys(table for it in projections for table in it.written):
            await admin.execute(f'CREATE TABLE "{schema}"."{table}" (LIKE public."{table}" INCLUDING ALL)')
        await admin.execute(
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{worker}"; '
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO "{worker}"; '
            f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{worker}"'
        )
        await admin.execute("INSERT INTO rebuilds (projection, fingerprint) VALUES ($1, $2)", name, fingerprint)
        await admin.execute(
            """
            INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation)
            SELECT 'rebuild:' || $2, topic, partition, 0, cluster_id, generation FROM offsets
            WHERE consumer = $1 AND topic = ANY ($3)
            """,
            service.name,
            name,
            topics,
        )
    return False


async def _fits(admin: asyncpg.Connection[asyncpg.Record], service: str, name: str, topics: Sequence[str]) -> bool:
    """Whether the offsets of an earlier attempt are of the same logs and partitions as the service's."""
    fits: bool = await admin.fetchval(
        """
        SELECT NOT EXISTS (
            (SELECT topic, partition, cluster_id, generation FROM offsets WHERE consumer = $1 AND topic = ANY ($3))
            EXCEPT
            (SELECT topic, partition, cluster_id, generation FROM offsets WHERE consumer = 'rebuild:' || $2)
        )
        """,
        service,
        name,
        topics,
    )
    return fits


async def _drop(admin: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    async with admin.transaction():
        await admin.execute(f'DROP SCHEMA IF EXISTS "{schema_of(name)}" CASCADE')
        for statement in _FORGET:
            await admin.execute(statement, name)


async def _build(
    admin: asyncpg.Connection[asyncpg.Record],
    worker: Database,
    service: Service,
    projections: Sequence[Projection],
    *,
    progress: Progress,
    by: tuple[Operator, str] | None,
) -> tuple[tuple[Difference, ...], int]:
    installation = service.settings.installation
    reduced = replace(service, projections=tuple(projections), reactions=())
    name = projections[0].name
    reader = Reader(installation.prefix, reduced.consumes)
    async with worker.scoped(ALL_MUNICIPALITIES) as connection:
        rows = await connection.fetch(
            "SELECT topic, partition, next FROM offsets WHERE consumer = 'rebuild:' || $1 ORDER BY topic, partition",
            name,
        )
    at = {(row["topic"], row["partition"]): row["next"] for row in rows}
    effects = Effects(reduced, worker, projections_only=True)
    builder = _Builder(name, service.name, worker, reader, effects, installation.prefix, list(at))
    builder.ahead = {partition: deque() for partition in at}
    source = _Source(installation, builder)
    try:
        begin = await source.start(at)
        facts = {it for projection in projections for it in projection.events if it.TOPIC not in reader.compacted}
        last_step = _LastStep(
            builder,
            source,
            [table for it in projections for table in it.written],
            sorted({(it.TOPIC.partition(".")[0], it.AGGREGATE) for it in facts}),
            by,
        )
        behind = {partition: (max(at[partition], begin[partition]), -1) for partition in at}
        analysed = 0
        while True:
            await source.fetch()
            for partition in at:
                await _batch(builder, partition, behind)
            progress(*_told(begin, behind))
            if builder.applied - analysed > max(analysed, _ANALYSE_AFTER):
                await _analyse(admin, name, projections)
                analysed = builder.applied
            if await last_step.near(behind):
                await _analyse(admin, name, projections)
                differences = await last_step.attempt()
                if differences is not None:
                    total = sum(live - begin[partition] for partition, (_, live) in behind.items())
                    progress(total, total)
                    return differences, builder.applied
    finally:
        await source.stop()


async def _batch(builder: _Builder, partition: Partition, behind: dict[Partition, tuple[int, int]]) -> None:
    """Take of a partition as long as there is something to take, a transaction each time."""
    while builder.ahead[partition] or behind[partition][1] < 0:
        before = behind[partition]
        async with builder.database.scoped(ALL_MUNICIPALITIES) as connection:
            at, live = await builder.take(connection, partition)
        builder.took(partition, at)
        behind[partition] = (max(at, before[0]), live)
        if at <= before[0]:
            return


def _told(begin: dict[Partition, int], behind: dict[Partition, tuple[int, int]]) -> tuple[int, int]:
    done = sum(at - begin[partition] for partition, (at, _) in behind.items())
    total = sum(max(at, live) - begin[partition] for partition, (at, live) in behind.items())
    return max(done, 0), max(total, 0)


async def _analyse(admin: asyncpg.Connection[asyncpg.Record], name: str, projections: Sequence[Projection]) -> None:
    """Statistics of the new tables: statements that were planned while they were empty are planned anew."""
    for table in dict.fromkeys(table for it in projections for table in it.written):
        await admin.execute(f'ANALYZE "{schema_of(name)}"."{table}"')


@dataclass(slots=True)
class _LastStep:
    """The transaction in which the old rows become the new ones."""

    builder: _Builder
    source: _Source
    tables: Sequence[str]
    kinds: Sequence[tuple[str, str]]
    """(owner, kind) of the aggregates whose facts are projected."""
    by: tuple[Operator, str] | None
    """Who has the old rows changed, and why; ``None``: they stay."""

    @property
    def _states(self) -> list[Partition]:
        return [it for it in self.builder.partitions if it[0] in self.builder.reader.compacted]

    async def near(self, behind: dict[Partition, tuple[int, int]]) -> bool:
        """Whether little is left: the rest is taken while the service's consumer waits."""
        facts = [it for it in self.builder.partitions if it not in self._states]
        left = sum(max(0, behind[it][1] - behind[it][0]) for it in facts)
        return left < BATCH and await self.source.at_end(self._states)

    async def attempt(self) -> tuple[Difference, ...] | None:
        """Put the old rows right; ``None`` if the service could not be caught up with in time: nothing was changed."""
        builder = self.builder
        deadline = monotonic() + _LAST_STEP_SECONDS
        try:
            async with builder.database.scoped(ALL_MUNICIPALITIES) as connection:
                await connection.execute("SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10min'")
                await Ledger(builder.live).lock(connection, builder.partitions)
                at = {it: await self._catch_up(connection, it, deadline) for it in builder.partitions}
                await self._see_that_it_reads_nothing_again(connection)
                differences = await self._put_right(connection)
        except (_BehindError, asyncpg.LockNotAvailableError):
            return None
        except asyncpg.RaiseError as error:
            raise RebuildError(str(error)) from error
        for partition, offset in at.items():
            builder.took(partition, offset)
        return differences

    async def _catch_up(self, connection: Connection, partition: Partition, deadline: float) -> int:
        while True:
            at, live = await self.builder.take(connection, partition)
            if at >= live or partition in self._states:
                return at
            if monotonic() > deadline:
                raise _BehindError
            await self.source.fetch(50)

    async def _see_that_it_reads_nothing_again(self, connection: Connection) -> None:
        """Raise where the service has dealt with facts that do not lie before its offsets."""
        owners, kinds = [owner for owner, _ in self.kinds], [kind for _, kind in self.kinds]
        builder = self.builder
        if await connection.fetchval(_HOLDS_MORE, builder.live, f"rebuild:{builder.name}", owners, kinds):
            raise _BehindError

    async def _put_right(self, connection: Connection) -> tuple[Difference, ...]:
        name = self.builder.name
        differences = []
        for table in dict.fromkeys(self.tables):
            row = await connection.fetchrow(
                "SELECT missing, wrong, surplus FROM put_right($1, $2, $3)",
                schema_of(name),
                table,
                self.by is not None,
                timeout=_PUT_RIGHT_SECONDS,
            )
            if row is not None:
                differences.append(Difference(table, row["missing"], row["wrong"], row["surplus"]))
        if self.by is not None:
            operator, reason = self.by
            await acts.note(connection, operator, "rebuilt", [Subject(topic=name)], reason=reason)
        for statement in _FORGET:
            await connection.execute(statement, name)
        return tuple(differences)


_PUT_RIGHT_SECONDS = 600.0
"""Longer than any other statement may take: it reads two whole tables."""

"""P3, P4, P18: records a second from Kafka into a projection, with versions and offsets in the same transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Assigned

from chassis.consumer import Consumer, hosting
from chassis.database import Database, database_name
from chassis.kafka import cluster_id
from chassis.settings import InstallationSettings
from chassis.testing import Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.processes import process

FETCH = 1000

_COPY = """
INSERT INTO copies (municipality, thing_id, size, version)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
ON CONFLICT (municipality, thing_id) DO UPDATE SET size = excluded.size, version = excluded.version
"""
_KNOWN = """
SELECT v.aggregate, v.version, v.event_id FROM unnest($1::text[], $2::text[]) AS k (municipality, aggregate)
CROSS JOIN LATERAL (
    SELECT * FROM versions AS it WHERE it.consumer = 'reference' AND it.municipality = k.municipality
    AND it.owner = 'source' AND it.aggregate = k.aggregate LIMIT 1
) AS v
"""
_LOCK = """
SELECT partition, next FROM offsets WHERE consumer = 'reference' AND partition = ANY ($1) ORDER BY partition FOR UPDATE
"""
_ADVANCE_AND_MOVE = """
WITH advanced AS (
    INSERT INTO versions (consumer, municipality, owner, aggregate, version, event_id)
    SELECT 'reference', m, 'source', a, v, e
    FROM unnest($3::text[], $4::text[], $5::bigint[], $6::uuid[]) AS t (m, a, v, e)
    ON CONFLICT (consumer, municipality, owner, aggregate)
    DO UPDATE SET version = excluded.version, event_id = excluded.event_id
)
UPDATE offsets AS o SET next = m.next FROM unnest($1::int[], $2::bigint[]) AS m (partition, next)
WHERE o.consumer = 'reference' AND o.partition = m.partition
"""


async def empty(sink: Toy) -> None:
    """Forget everything that was consumed, under whatever name, as if it had never been there."""
    name = database_name(sink.installation.settings, sink.service.name)
    admin = await asyncpg.connect(sink.installation.admin_url, database=name)
    try:
        await admin.execute("TRUNCATE copies, versions, offsets; CHECKPOINT")
    finally:
        await admin.close()


async def reference(installation: Installation, sink: Toy, rows: int) -> float:
    """The rate of the plain loop over what is on the topic, from its second fetch on."""
    await empty(sink)
    settings = installation.settings
    async with _client(settings) as client:
        await begin_at(sink, "reference", dict.fromkeys(range(12), 0))
        await client.seek_to_beginning(*client.assignment())
        count, total, began = 0, 0, 0.0
        while total < rows:
            done = await _turn(client, sink.worker)
            total += done
            if began:
                count += done
            elif done:
                began = perf_counter()
        return count / (perf_counter() - began)


@contextlib.asynccontextmanager
async def _client(settings: InstallationSettings) -> AsyncIterator[AIOKafkaConsumer]:
    client = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    client.assign([TopicPartition(f"{settings.prefix}source.events", number) for number in range(12)])
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def _turn(client: AIOKafkaConsumer, database: Database) -> int:
    """A plain loop's turn: getmany, decode, the same statements, one transaction a fetch."""
    fetched = await client.getmany(timeout_ms=500, max_records=FETCH)
    if fetched:
        await _apply(database, fetched)
    return sum(len(records) for records in fetched.values())


async def consume_for_ever(settings: InstallationSettings, database: Database) -> None:
    """The plain loop from the offsets that stand in the table, until it is killed."""
    async with _client(settings) as client:
        async with database.scoped("*") as connection:
            places = await connection.fetch("SELECT partition, next FROM offsets WHERE consumer = 'reference'")
        for number, at in places:
            client.seek(TopicPartition(f"{settings.prefix}source.events", number), at)
        while True:
            await _turn(client, database)


async def begin_at(sink: Toy, consumer: str, places: Mapping[int, int], cluster: str = "") -> None:
    """Let a consumer begin at these offsets of the source's topic."""
    async with sink.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation) "
            "SELECT $1, 'source.events', p.partition, p.next, $4, 1 "
            "FROM unnest($2::int[], $3::bigint[]) AS p (partition, next)",
            consumer,
            list(places),
            list(places.values()),
            cluster,
        )


async def together(source: Toy, sink: Toy, rows: int, *, plain: bool) -> float:
    """P18: events a second from the log into the projection, relay and consumer in a process each."""
    installation = source.installation
    settings = installation.settings
    await empty(sink)
    async with _client(settings) as client:
        ends = {place.partition: end for place, end in (await client.end_offsets(client.assignment())).items()}
    name = "reference" if plain else "sink"
    await begin_at(sink, name, ends, await cluster_id(settings))
    async with source.worker.scoped("*") as connection:
        await connection.execute("DELETE FROM relay_place")
    begin: int = sum(ends.values())

    async def done() -> int:
        total = await sink.value("SELECT sum(next) FROM offsets WHERE consumer = $1 AND topic = 'source.events'", name)
        return int(total) - begin

    roles = ("plain-consumer", "plain-relay") if plain else ("consumer", "relay")
    async with process(installation, roles[0]), process(installation, roles[1]):
        while not (first := await done()):
            await asyncio.sleep(0.02)
        began = perf_counter()
        while await done() < rows:
            await asyncio.sleep(0.05)
        return (rows - first) / (perf_counter() - began)


async def _apply(database: Database, fetched: dict[TopicPartition, list[Any]]) -> None:
    newest: dict[str, tuple[str, str, int, int, UUID]] = {}
    decoded: list[tuple[str, int, UUID]] = []
    for records in fetched.values():
        for record in records:
            headers = dict(record.headers)
            event = ThingMadeV1.read(record.value)
            event_id, version = UUID(headers["ce_id"].decode()), int(headers["ce_sequence"])
            UUID(headers["ce_correlationid"].decode())
            datetime.fromisoformat(headers["ce_time"].decode())
            municipality, aggregate = headers["ce_municipality"].decode(), headers["ce_subject"].decode()
            decoded.append((aggregate, version, event_id))
            newest[aggregate] = (municipality, event.thing_id, event.size, version, event_id)
    async with database.scoped("*") as connection:
        places = {place.partition: records[-1].offset + 1 for place, records in fetched.items()}
        at: dict[int, int] = {row[0]: row[1] for row in await connection.fetch(_LOCK, list(places))}
        if any(at[place.partition] != records[0].offset for place, records in fetched.items()):
            raise AssertionError("not in order")
        towns, things, sizes, numbers, events = zip(*newest.values(), strict=True)
        known = {row[0]: row[1] for row in await connection.fetch(_KNOWN, towns, list(newest))}
        for aggregate, version, _ in decoded:
            if version != known.get(aggregate, 0) + 1:
                raise AssertionError("a gap")
            known[aggregate] = version
        await connection.execute(_COPY, towns, things, sizes, numbers)
        await connection.execute(
            _ADVANCE_AND_MOVE, list(places), list(places.values()), towns, list(newest), numbers, events
        )


async def plain_hosted(installation: Installation, sink: Toy, rows: int) -> float:
    """The plain loop's turn, hosted by FastStream as raw batches."""
    await empty(sink)
    settings = installation.settings
    await begin_at(sink, "reference", dict.fromkeys(range(12), 0))
    broker = KafkaBroker(settings.kafka, logger=None, apply_types=False)
    done: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    @broker.subscriber(
        partitions=[Assigned(f"{settings.prefix}source.events", number) for number in range(12)],
        batch=True, max_records=FETCH, auto_offset_reset="earliest", parser=hosting._parse, decoder=hosting._decode,
    )  # fmt: skip
    async def turn(records: Sequence[Any]) -> None:
        fetched: dict[TopicPartition, list[Any]] = {}
        for record in records:
            fetched.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        await _apply(sink.worker, fetched)
        done.put_nowait((perf_counter(), len(records)))

    await broker.start()
    try:
        began, total = await done.get()
        at, count = began, 0
        while total + count < rows:
            at, some = await done.get()
            count += some
        return count / (at - began)
    finally:
        await broker.stop()


async def hosted(sink: Toy, rows: int) -> float:
    """The consumer as it is; start-up and the first delivery apart, as in the reference."""
    await empty(sink)
    settings = sink.installation.settings
    consumer = Consumer(sink.service, sink.worker, settings)
    counted = _Counted(consumer)
    sink.start(consumer)
    await counted.until(rows)
    await sink.stop()
    return counted.rate()


async def bare(installation: Installation, sink: Toy, rows: int) -> float:
    """The same work on a bare aiokafka client: what hosting by FastStream costs."""
    await empty(sink)
    settings = installation.settings
    consumer = Consumer(sink.service, sink.worker, settings)
    counted = _Counted(consumer)
    client = AIOKafkaConsumer(
        f"{settings.prefix}source.events", bootstrap_servers=settings.kafka, enable_auto_commit=False,
        auto_offset_reset="earliest", group_id=f"bare-{uuid4()}",
    )  # fmt: skip
    await client.start()
    try:
        consumer._assignment.attach(lambda: client)
        await consumer._assignment.on_partitions_assigned(client.assignment())
        while not counted.complete(rows):
            fetched = await client.getmany(timeout_ms=500, max_records=FETCH)
            if fetched:
                await consumer._deliveries.handle([record for records in fetched.values() for record in records])
        return counted.rate()
    finally:
        await client.stop()


class _Counted:
    """Counts what a consumer's batches have committed."""

    def __init__(self, consumer: Any) -> None:
        batches = consumer._batches
        together = batches.together
        self._first = self._total = 0
        self._began = self._ended = 0.0

        async def counting(deliveries: Any) -> None:
            await together(deliveries)
            self._total += sum(len(delivery.records) for delivery in deliveries)
            self._ended = perf_counter()
            if not self._began:
                self._began, self._first = self._ended, self._total

        batches.together = counting

    def complete(self, rows: int) -> bool:
        return self._total >= rows

    async def until(self, rows: int) -> None:
        while not self.complete(rows):
            await asyncio.sleep(0.005)

    def rate(self) -> float:
        return (self._total - self._first) / (self._ended - self._began)


def plain(installation: Installation, sink: Toy, rows: int) -> Callable[[], Awaitable[float]]:
    """The reference of P3."""
    return lambda: reference(installation, sink, rows)

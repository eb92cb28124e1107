"""P3 and P4: records a second from Kafka into a projection, with versions and offsets in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.consumer import Consumer
from chassis.database import database_name
from chassis.testing import Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy

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
    """A plain loop: getmany, decode, the same statements, one transaction a fetch."""
    await empty(sink)
    topic = f"{installation.settings.prefix}source.events"
    consumer = AIOKafkaConsumer(
        bootstrap_servers=installation.settings.kafka, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    partitions = [TopicPartition(topic, number) for number in range(12)]
    consumer.assign(partitions)
    await consumer.start()
    async with sink.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation) "
            "SELECT 'reference', 'source.events', n, 0, '', 1 FROM generate_series(0, 11) AS n"
        )
    try:
        await consumer.seek_to_beginning(*partitions)
        count, began = 0, 0.0
        total = 0
        while total < rows:
            fetched = await consumer.getmany(timeout_ms=500, max_records=FETCH)
            if not fetched:
                continue
            await _apply(sink, fetched)
            done = sum(map(len, fetched.values()))
            total += done
            if began:
                count += done
            else:
                began = perf_counter()
        return count / (perf_counter() - began)
    finally:
        await consumer.stop()


async def _apply(sink: Toy, fetched: dict[TopicPartition, list[Any]]) -> None:
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
    async with sink.worker.scoped("*") as connection:
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
    from chassis.consumer import Consumer  # noqa: PLC0415  only here

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

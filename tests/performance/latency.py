"""P8: time from the start of a command to its committed projection, beside a plain pipeline; one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from statistics import quantiles
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.testing import MIDORI, Installation
from chassis.transaction import key_hash, new_id
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE

SECONDS = 6
AT_ONCE = 64
"""Commands in hand at most; a machine that cannot keep up makes both sides wait alike."""

WARM = 1.5
"""Seconds at the start that are not counted."""

_serial = iter(range(10**9))


class Clock:
    """When each thing's command began, and how long it took to be projected."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.took: list[float] = []
        self.busy = 0.0
        """Share of one core that this process used."""
        self._from = perf_counter() + WARM

    def projected(self, thing: str) -> None:
        """A thing's projection is committed."""
        began = self.began.pop(thing, None)
        if began is not None and began > self._from:
            self.took.append((perf_counter() - began) * 1000)

    def percentile(self, per_cent: int) -> float:
        """Milliseconds."""
        return quantiles(self.took, n=100)[per_cent - 1]


async def drive(clock: Clock, per_second: int, command: Callable[[str], Awaitable[None]]) -> None:
    """Begin commands at a steady rate, whether the ones before are done or not; wait for the last projections."""
    running: set[asyncio.Task[None]] = set()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(thing: str) -> None:
        async with room:
            await command(thing)

    began, used = perf_counter(), process_time()
    for number in range(per_second * SECONDS):
        ahead = began + number / per_second - perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        thing = f"l{next(_serial)}"
        clock.began[thing] = perf_counter()
        task = asyncio.ensure_future(one(thing))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    clock.busy = (process_time() - used) / (perf_counter() - began)
    deadline = perf_counter() + 10
    while clock.began and perf_counter() < deadline:
        await asyncio.sleep(0.02)


async def ours(source: Toy, sink: Toy, per_second: int) -> Clock:
    """Relay and consumer as they are."""
    source.relay()
    consumer = sink.consumer()
    await _flowing(source, sink)
    clock = Clock()
    together = consumer._batches.together

    async def timed(deliveries: Any) -> None:
        await together(deliveries)
        for delivery in deliveries:
            for record in delivery.records:
                clock.projected(record.received.event.thing_id)

    consumer._batches.together = timed  # type: ignore[method-assign]  # the moment of the commit is measured there

    async def command(thing: str) -> None:
        async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
            transaction.emit(ThingMadeV1(thing_id=thing, note=NOTE), version=1)

    await drive(clock, per_second, command)
    await source.stop()
    await sink.stop()
    return clock


async def _flowing(source: Toy, sink: Toy) -> None:
    thing = f"first{next(_serial)}"
    await source.make(thing, 1)
    while not await sink.value("SELECT true FROM copies WHERE thing_id = $1", thing):
        await asyncio.sleep(0.05)


_INSERT = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
VALUES ($1, $2, 'reference.events', $3, $4, 1, $5, now(), $1, 'system', 'bench', $6)
"""
_COPY = """
INSERT INTO copies (municipality, thing_id, size, version)
SELECT $1, t.thing, 0, 1 FROM unnest($2::text[]) AS t (thing)
ON CONFLICT (municipality, thing_id) DO UPDATE SET size = excluded.size
"""
_OFFSETS = """
INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation)
SELECT 'reference', 'source.events', t.partition, t.next, '', 1
FROM unnest($1::int[], $2::bigint[]) AS t (partition, next)
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next = excluded.next
"""


async def reference(installation: Installation, source: Toy, sink: Toy, per_second: int) -> Clock:
    """A plain pipeline with an in-process wake-up: position above the last, send_batch, getmany, one transaction."""
    settings = installation.settings
    topic = f"{settings.prefix}sink.events"  # which the sink does not consume
    clock = Clock()
    wake = asyncio.Event()
    stop = False
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in range(12)]
    consumer.assign(partitions)
    await producer.start()
    await consumer.start()
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)
    async with source.worker.scoped("*") as connection:
        last = await connection.fetchval("SELECT coalesce(max(position), 0) FROM event_log")

    async def relay() -> None:
        nonlocal last
        while not stop:
            wake.clear()
            async with source.worker.scoped("*") as connection:
                rows = await connection.fetch(
                    "SELECT position, key_hash, aggregate, payload FROM event_log WHERE position > $1 "
                    "ORDER BY position LIMIT 1000",
                    last,
                )
            if not rows:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), 0.02)
                continue
            batches: dict[int, Any] = {}
            for row in rows:
                number = row["key_hash"] % 12
                batch = batches.get(number) or batches.setdefault(number, producer.create_batch())
                batch.append(key=row["aggregate"].encode(), value=row["payload"].encode(), timestamp=None)
            await asyncio.gather(
                *[await producer.send_batch(batch, topic, partition=number) for number, batch in batches.items()]
            )
            last = rows[-1]["position"]

    async def consume() -> None:
        while not stop:
            fetched = await consumer.getmany(timeout_ms=200, max_records=1000)
            if not fetched:
                continue
            things = [ThingMadeV1.read(record.value).thing_id for records in fetched.values() for record in records]
            async with sink.worker.scoped("*") as connection:
                await connection.execute(_COPY, MIDORI, things)
                await connection.execute(
                    _OFFSETS,
                    [place.partition for place in fetched],
                    [records[-1].offset + 1 for records in fetched.values()],
                )
            for thing in things:
                clock.projected(thing)

    async def command(thing: str) -> None:
        async with source.api.scoped(MIDORI) as connection:
            event_id: UUID = new_id()
            await connection.execute(
                _INSERT,
                event_id,
                MIDORI,
                ThingMadeV1.TYPE,
                f"thing/{thing}",
                key_hash(MIDORI, f"thing/{thing}"),
                ThingMadeV1(thing_id=thing, note=NOTE).write(),
            )
        wake.set()

    loops = [asyncio.create_task(relay()), asyncio.create_task(consume())]
    try:
        await drive(clock, per_second, command)
    finally:
        stop = True
        wake.set()
        await asyncio.gather(*loops)
        await producer.stop()
        await consumer.stop()
    async with source.worker.scoped("*") as connection:
        # What the plain loop published is not for the relay that runs after it.
        await connection.execute("DELETE FROM event_log WHERE topic = 'reference.events'")
    return clock

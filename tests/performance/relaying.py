"""P1, P2, P11, P12: rows a second from log to Kafka, beside pipelined loops with the same rows and headers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from time import perf_counter
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from chassis.database import Database
from chassis.relay.log import EventLog
from chassis.settings import InstallationSettings
from chassis.testing import MIDORI, Installation
from chassis.transaction import key_hash
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE

PAGE = 1000

_PAGE = """
SELECT position, topic, type, key_hash, version, occurred_at,
       convert_to(municipality || '/' || aggregate, 'UTF8') AS key, convert_to(event_id::text, 'UTF8') AS event_id,
       convert_to(correlation_id::text, 'UTF8') AS correlation_id, convert_to(payload, 'UTF8') AS payload
FROM event_log WHERE position > $1 ORDER BY position LIMIT $2
"""

Send = Callable[[AIOKafkaProducer, str, list[Any]], Awaitable[None]]


def _headers(row: Any) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", row["event_id"]),
        ("ce_type", row["type"].encode()),
        ("ce_source", b"/taiwa/source"),
        ("ce_subject", row["key"][7:]),
        ("ce_time", row["occurred_at"].isoformat().encode()),
        ("ce_sequence", b"%d" % row["version"]),
        ("ce_municipality", row["key"][:6]),
        ("ce_correlationid", row["correlation_id"]),
        ("content-type", b"application/json"),
    ]


async def _send_batches(producer: AIOKafkaProducer, topic: str, rows: list[Any]) -> None:
    batches: dict[int, Any] = {}
    for row in rows:
        partition = row["key_hash"] % 12
        batch = batches.get(partition)
        if batch is None:
            batch = batches[partition] = producer.create_batch()
        batch.append(key=row["key"], value=row["payload"], timestamp=None, headers=_headers(row))
    await asyncio.gather(
        *[await producer.send_batch(batch, topic, partition=partition) for partition, batch in batches.items()]
    )


async def _send_each(producer: AIOKafkaProducer, topic: str, rows: list[Any]) -> None:
    await asyncio.gather(
        *[
            await producer.send(
                topic, row["payload"], key=row["key"], partition=row["key_hash"] % 12, headers=_headers(row)
            )
            for row in rows
        ]
    )


async def reference(installation: Installation, source: Toy, send: Send) -> float:
    """The rate of the plain loop, from its first page on."""
    return await publish_all(installation.settings, source.worker, send)


async def publish_all(settings: InstallationSettings, database: Database, send: Send = _send_batches) -> float:
    """A plain loop: read a page by position while the one before is sent; no place, no windows, no leadership."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    topic = f"{settings.prefix}source.events"
    count, began = 0, 0.0
    try:
        async with database.scoped("*") as connection:
            rows = await connection.fetch(_PAGE, 0, PAGE)
            while rows:
                following = asyncio.create_task(connection.fetch(_PAGE, rows[-1]["position"], PAGE))
                await send(producer, topic, rows)
                if began:
                    count += len(rows)
                else:
                    began = perf_counter()
                rows = await following
        return count / (perf_counter() - began)
    finally:
        await producer.stop()


async def ours(source: Toy, rows: int) -> float:
    """The relay from an empty place until it has published all; start-up and first page apart, as in the reference."""
    async with source.worker.scoped("*") as connection:
        await connection.execute("DELETE FROM relay_place")
    relay = source.relay()
    counted = Published(rows)
    relay._published = counted  # type: ignore[assignment]  # stands where a Counter stands
    try:
        return await counted.rate()
    finally:
        await source.stop()


class Published:
    """Stands where the relay counts what was acknowledged, so that nobody has to ask it all the time."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._total = self._first = 0
        self._began = self._ended = 0.0
        self._complete = asyncio.Event()

    def inc(self, rows: int) -> None:
        self._total += rows
        self._ended = perf_counter()
        if not self._began:
            self._began, self._first = self._ended, self._total
        if self._total >= self._rows:
            self._complete.set()

    async def rate(self) -> float:
        """Rows a second between the first page and the last."""
        await self._complete.wait()
        return (self._total - self._first) / (self._ended - self._began)


def batched(installation: Installation, source: Toy) -> Callable[[], Awaitable[float]]:
    """The reference of P1."""
    return lambda: reference(installation, source, _send_batches)


def one_by_one(installation: Installation, source: Toy) -> Callable[[], Awaitable[float]]:
    """The reference of P2."""
    return lambda: reference(installation, source, _send_each)


_FLOOD = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
SELECT uuidv7(), $1, 'source.events', $2, 'thing/f' || a.number, 1, a.hash, now(), uuidv7(), 'system', 'bench', $3
FROM unnest($4::int[], $5::int[]) AS a (number, hash)
"""
CHUNK = 100
"""Events of one transaction of the flood."""


async def _flood(source: Toy, per_second: int, until: asyncio.Event) -> None:
    payload = ThingMadeV1(thing_id="f", note=NOTE).write()
    number = 0
    began = perf_counter()
    while not until.is_set():
        names = range(number, number + CHUNK)
        hashes = [key_hash(MIDORI, f"thing/f{name}") for name in names]
        async with source.api.scoped(MIDORI) as connection:
            await connection.execute(_FLOOD, MIDORI, ThingMadeV1.TYPE, payload, list(names), hashes)
        source.api.committed.set()
        number += CHUNK
        await asyncio.sleep(max(0.0, began + number / per_second - perf_counter()))


@contextlib.asynccontextmanager
async def _open_elsewhere(source: Toy) -> AsyncIterator[None]:
    """A transaction with an id that stays open in another database of the cluster."""
    elsewhere = await asyncpg.connect(source.installation.admin_url)
    try:
        await elsewhere.execute("BEGIN; SELECT pg_current_xact_id()")
        yield
        await elsewhere.execute("ROLLBACK")
    finally:
        await elsewhere.close()


async def polls(source: Toy, per_second: int, *, hold: float, seconds: float) -> float:
    """The median milliseconds of the relay's looks at the log during the last ``seconds`` of ``hold``.

    While ``hold`` lasts, a write transaction stays open in another database; 0: none, and ``seconds`` alone count.
    """
    took: list[tuple[float, float]] = []
    looks = EventLog.open, EventLog.page

    def timed(look: Any) -> Any:
        async def looking(log: EventLog, *given: Any) -> Any:
            began = perf_counter()
            try:
                return await look(log, *given)
            finally:
                took.append((began, perf_counter() - began))

        return looking

    done = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        if hold:
            await stack.enter_async_context(_open_elsewhere(source))
        EventLog.open, EventLog.page = (timed(look) for look in looks)  # type: ignore[method-assign]  # timed meanwhile
        try:
            source.relay()
            flood = asyncio.create_task(_flood(source, per_second, done))
            await asyncio.sleep(max(hold, seconds + 1))
            end = perf_counter()
            done.set()
            await flood
        finally:
            EventLog.open, EventLog.page = looks  # type: ignore[method-assign]  # as they were
            await source.stop()
    return median(spent for began, spent in took if end - seconds <= began <= end) * 1000

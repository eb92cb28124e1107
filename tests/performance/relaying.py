"""P1 and P2: rows a second from the event log to Kafka, beside pipelined loops with the same rows and headers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaProducer

from chassis.testing import Installation
from tests.integration.messaging.services import Toy

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
    """A plain loop: read a page by position while the one before is sent; no place, no windows, no leadership."""
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.settings.kafka, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    topic = f"{installation.settings.prefix}source.events"
    count, began = 0, 0.0
    try:
        async with source.worker.scoped("*") as connection:
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
    relay._published = counted = Published(rows)
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

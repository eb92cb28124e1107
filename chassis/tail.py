"""Looks on at topics without joining a group: nothing is committed, nobody is disturbed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.consumer.header_names import bear_any_name
from chassis.envelope import storable
from chassis.settings import InstallationSettings
from chassis.topics import PARTITIONS

_CONTENT_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Seen:
    """One record as it stands in Kafka. Headers that are null are left out; a ``value`` of ``None`` is a tombstone."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: str
    headers: dict[str, str]
    value: bytes | None

    def structured(self) -> dict[str, object]:
        """The CloudEvents 1.0 attributes in structured mode, without ``data``, which the caller parses."""
        attributes: dict[str, object] = {
            name.removeprefix("ce_"): value for name, value in self.headers.items() if name.startswith("ce_")
        }
        return {**attributes, "datacontenttype": self.headers.get("content-type", _CONTENT_TYPE)}


async def tail(
    installation: InstallationSettings, topics: Sequence[str], *, from_start: bool = False
) -> AsyncIterator[Seen]:
    """Every record of ``topics`` (with the installation's prefix) from now on, or from the start; never ends.

    Raises:
        aiokafka.errors.KafkaConnectionError: no bootstrap server answers.
        LookupError: none of the topics exists.
    """
    bear_any_name()
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, client_id="taiwa-tail", enable_auto_commit=False)
    try:
        await consumer.start()
        existing = await consumer.topics()
        partitions = [
            TopicPartition(topic, partition) for topic in topics if topic in existing for partition in range(PARTITIONS)
        ]
        if not partitions:
            raise LookupError(f"none of these topics exists: {', '.join(topics)}")
        consumer.assign(partitions)
        if from_start:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
            for partition in partitions:
                await consumer.position(partition)
        while True:
            batches = await consumer.getmany(timeout_ms=500)
            records = [record for batch in batches.values() for record in batch]
            for record in sorted(records, key=lambda record: record.timestamp):
                yield Seen(
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    timestamp=record.timestamp,
                    key=(record.key or b"").decode(errors="replace"),
                    headers={
                        storable(name): value.decode(errors="replace")
                        for name, value in record.headers
                        if value is not None
                    },
                    value=record.value,
                )
    finally:
        await consumer.stop()


@asynccontextmanager
async def log_ends(
    installation: InstallationSettings,
) -> AsyncIterator[Callable[[Sequence[str]], Awaitable[dict[tuple[str, int], int]]]]:
    """A question to ask often: where do these topics (without prefix) end? Gives (topic, partition) → next offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, client_id="taiwa-ends", enable_auto_commit=False)

    async def ask(topics: Sequence[str]) -> dict[tuple[str, int], int]:
        existing = await consumer.topics()
        wanted = [
            TopicPartition(f"{installation.prefix}{topic}", partition)
            for topic in topics
            if f"{installation.prefix}{topic}" in existing
            for partition in range(PARTITIONS)
        ]
        ends = await consumer.end_offsets(wanted) if wanted else {}
        strip = len(installation.prefix)
        return {(at.topic[strip:], at.partition): end for at, end in ends.items()}

    try:
        await consumer.start()
        yield ask
    finally:
        await consumer.stop()

"""Sees whether a service's topics fit its event log, before its relay leads and, how many partitions, while it does.

Promise: a relay refuses, with the command that mends it, where a topic has another number of partitions than it was
made with, or where the newest record of a partition is not in the log: then the database was restored from an earlier
time. Neither PostgreSQL nor Kafka tells of a restore into the same cluster. To go on in silence would give other events
the versions that consumers have dealt with already, and they would be passed over as repeats.

Only the newest records are looked at: they are the last that a relay of this log published, whichever relay that was.

Proven by ``tests/integration/messaging/test_fitting.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from chassis.envelope import Unreadable, read
from chassis.kafka import admin_client
from chassis.settings import InstallationSettings
from chassis.topics import PARTITIONS
from chassis.transaction import Connection

_SECONDS = 15.0

_UNKNOWN = """
SELECT k.aggregate, k.version
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[]) AS k (municipality, aggregate, version, event_id)
WHERE NOT EXISTS (
    SELECT FROM event_log AS e
    WHERE e.municipality = k.municipality AND e.aggregate = k.aggregate AND e.version = k.version
      AND e.event_id = k.event_id
)
LIMIT 1
"""


class _Newest(NamedTuple):
    municipality: str
    aggregate: str
    version: int
    event_id: UUID


async def misfit(connection: Connection, installation: InstallationSettings, topics: Sequence[str]) -> str | None:
    """Why the log must not be published to ``topics`` (without prefix); ``None``: all is well.

    Raises:
        aiokafka.errors.KafkaError, OSError, TimeoutError: Kafka does not answer.
    """
    async with asyncio.timeout(_SECONDS):
        partitions = await _partitions(installation, topics)
        if problem := _miscounted(partitions):
            return problem
        newest = await _newest(installation, list(partitions))
    if not newest:
        return None
    row = await connection.fetchrow(_UNKNOWN, *(list(column) for column in zip(*newest, strict=True)))
    if row is None:
        return None
    return (
        f"Kafka holds {row['aggregate']} in version {row['version']}, which this log does not: the database was "
        "restored from an earlier time"
    )


async def miscounted(installation: InstallationSettings, topics: Sequence[str]) -> str | None:
    """Which of ``topics`` (without prefix) has another number of partitions than it was made with, if one has.

    Raises:
        aiokafka.errors.KafkaError, OSError, TimeoutError: Kafka does not answer.
    """
    async with asyncio.timeout(_SECONDS):
        return _miscounted(await _partitions(installation, topics))


def _miscounted(partitions: Mapping[str, int]) -> str | None:
    for name, count in partitions.items():
        if count != PARTITIONS:
            return f"{name} has {count} partitions, not {PARTITIONS}: the order within a key would be lost"
    return None


async def _partitions(installation: InstallationSettings, topics: Sequence[str]) -> dict[str, int]:
    """How many partitions those of the topics have that are there."""
    wanted = {f"{installation.prefix}{topic}" for topic in topics}
    async with admin_client(installation) as admin:
        there = sorted(wanted & set(await admin.list_topics()))
        described = await admin.describe_topics(there) if there else []
    return {it["topic"]: len(it["partitions"]) for it in described if it["error_code"] == 0}


async def _newest(installation: InstallationSettings, names: Sequence[str]) -> list[_Newest]:
    """The last record of each partition, as far as it can be read."""
    places = [TopicPartition(name, partition) for name in names for partition in range(PARTITIONS)]
    if not places:
        return []
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, enable_auto_commit=False)
    consumer.assign(places)
    await consumer.start()
    try:
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        wanted = {place for place in places if ends[place] > begins[place]}
        for place in places:
            consumer.seek(place, max(begins[place], ends[place] - 1))
        last: dict[TopicPartition, ConsumerRecord] = {}
        while wanted:
            for place, records in (await consumer.getmany(*wanted, timeout_ms=500)).items():
                last[place] = records[-1]
                wanted.discard(place)
        return [found for record in last.values() if (found := _identity(record)) is not None]
    finally:
        await consumer.stop()


def _identity(record: ConsumerRecord) -> _Newest | None:
    """Which event it is; none where somebody else put bytes on the topic: that is a consumer's business."""
    try:
        it = read(record.key, record.headers)
    except Unreadable:
        return None
    return _Newest(it.municipality, it.aggregate, it.version, it.id)

"""From where on a consumer acts: what was said before it was there is copied, and not acted upon.

Promise: a new service, one whose database was made anew, and one that begins to read a further topic read that topic
from its start, so that their copies are whole; but nobody is mailed about last year. Where acting begins is recorded
in ``offsets.acts_from`` before the first record is read, and so survives a restart; versions count from the start.

The line: records older than the service's database where it has read nothing yet; else, for a topic it has not read
before, older than ten minutes, which is longer than an update takes.

A topic that is republished while its old records are still being read has nearly, not exactly, the same places.

Proven by ``tests/integration/messaging/test_baseline.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.consumer.ledger import Partition
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.kafka import cluster_id
from chassis.service import Service
from chassis.settings import InstallationSettings
from chassis.topics import PARTITIONS, generations

_READ = "SELECT DISTINCT topic FROM offsets WHERE consumer = $1"

_BORN = "SELECT min(applied_at) FROM schema_migrations"

_LATELY = "SELECT clock_timestamp() - interval '10 minutes'"

_RECORD = """
INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation, acts_from)
SELECT $1, t.topic, t.partition, t.next, $2, t.generation, t.acts_from
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::int[], $7::bigint[])
     AS t (topic, partition, next, generation, acts_from)
ON CONFLICT DO NOTHING
"""

_LEFT = "SELECT topic, partition, acts_from FROM offsets WHERE consumer = $1 AND acts_from > 0"

_log = structlog.get_logger("taiwa.consumer")

Run = Callable[[asyncio.Event], Awaitable[None]]


class Baseline:
    """Records where a service's reactions begin; the ledger forgets it in the transaction that passes it."""

    def __init__(self, service: Service, database: Database, installation: InstallationSettings) -> None:
        self._service = service
        self._database = database
        self._installation = installation
        self._compacted = {event.TOPIC for event in service.consumes if event.STATE}

    async def run(self, consume: Run, stop: asyncio.Event) -> None:
        """Record, then consume.

        Raises:
            Exception: Kafka or PostgreSQL cannot be asked; nothing was consumed.
        """
        await self.record()
        await consume(stop)

    async def record(self) -> None:
        """Record the line of topics that are read for the first time."""
        name = self._service.name
        topics = {reaction.event.TOPIC for reaction in self._service.reactions}
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            read = {row["topic"] for row in await connection.fetch(_READ, name)}
            since: datetime = await connection.fetchval(_LATELY if read else _BORN)
        if fresh := sorted(topics - read):
            await self._draw(fresh, since)
        await self._tell()

    async def _draw(self, topics: Sequence[str], since: datetime) -> None:
        begins, lines = await self._lines(topics, since)
        known, kafka = await generations(self._installation), await cluster_id(self._installation)
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            await connection.execute(
                _RECORD,
                self._service.name,
                kafka,
                [topic for topic, _ in begins],
                [partition for _, partition in begins],
                # As in Assignment.position: only compaction may have taken a log's beginning.
                [begins[it] if it[0] in self._compacted else 0 for it in begins],
                [known.get(topic, 1) for topic, _ in begins],
                [lines[it] for it in begins],
            )

    async def _lines(self, topics: Sequence[str], since: datetime) -> tuple[dict[Partition, int], dict[Partition, int]]:
        """Where each log begins, and its first record that is not older than ``since``."""
        prefix = self._installation.prefix
        places = [TopicPartition(f"{prefix}{topic}", number) for topic in topics for number in range(PARTITIONS)]
        client = AIOKafkaConsumer(bootstrap_servers=self._installation.kafka, enable_auto_commit=False)
        client.assign(places)
        await client.start()
        try:
            begins, ends = await client.beginning_offsets(places), await client.end_offsets(places)
            found = await client.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1000)))
        finally:
            await client.stop()
        lines = {}
        for place in places:
            first = found.get(place)
            line = ends[place] if first is None or first.offset < 0 else first.offset
            lines[place] = line if line > begins[place] else 0
        strip = len(prefix)
        return (
            {(it.topic[strip:], it.partition): begins[it] for it in places},
            {(it.topic[strip:], it.partition): lines[it] for it in places},
        )

    async def _tell(self) -> None:
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            rows = await connection.fetch(_LEFT, self._service.name)
        if rows:
            until = {f"{row['topic']}-{row['partition']}": row["acts_from"] for row in rows}
            _log.info("consumer.reads_without_acting", service=self._service.name, until=until)

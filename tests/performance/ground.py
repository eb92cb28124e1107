"""The ground both stand on: servers that write to disk as in earnest, databases, topics, rows.

Own embedded servers with fsync on, unless ``TAIWA_TEST_POSTGRES`` and ``TAIWA_TEST_KAFKA`` name some.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.municipality import check_digit
from chassis.testing import MIDORI, Installation, fresh_installation
from chassis.transaction import key_hash, new_id
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres
from tests.installation.backing import GIVEN_KAFKA, GIVEN_POSTGRES
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, sink_service, source_service, toy

TOWNS = tuple(f"{number}{check_digit(str(number))}" for number in range(99_980, 99_990))
"""Ten codes of no real municipality."""

NOTE = "新しい庁内システムの使い方について、各課の推進リーダーから寄せられた質問と回答をまとめました。" * 4
"""Makes a payload of about 590 bytes of UTF-8."""

AGGREGATES = 20_000


@contextmanager
def servers() -> Iterator[tuple[str, str]]:
    """A superuser's URL of PostgreSQL and Kafka's bootstrap servers."""
    given = os.environ.get(GIVEN_POSTGRES), os.environ.get(GIVEN_KAFKA)
    if given[0] and given[1]:
        yield given[0], given[1]
        return
    with tempfile.TemporaryDirectory(prefix="taiwa-bench-") as folder:
        run = Path(folder)
        postgres = Postgres(run / "postgres", ports.free_port(), durable=True)
        kafka = Kafka(run / "kafka", ports.free_port(), ports.free_port(), jars.fetch(jars.locked(), jars.folder()))
        try:
            postgres.start()
            kafka.start()
            yield postgres.url, kafka.bootstrap
        finally:  # also where the bench is interrupted: see __main__
            kafka.stop()
            postgres.stop()


@asynccontextmanager
async def pair(url: str, kafka: str, *, reacts: bool = False) -> AsyncIterator[tuple[Installation, Toy, Toy]]:
    """A source and a sink that copies, without reacting unless that is wanted."""
    async with (
        fresh_installation(url, kafka) as installation,
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation, reacts=reacts), installation) as sink,
    ):
        for it in (source.api, source.worker, sink.api, sink.worker):
            it.simulated_clock = False  # as in production: no round trip to ask for the town's time
        yield installation, source, sink


_FILL = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
SELECT uuidv7(), $1, 'source.events', $2, 'thing/t' || a.number, v.version, a.hash, now(), uuidv7(), 'system', 'bench',
       '{"thing_id":"t' || a.number || '","size":' || v.version || ',"note":"' || $3 || '"}'
FROM generate_series($7::int + 1, $7::int + $4::int) AS v (version), unnest($5::int[], $6::int[]) AS a (number, hash)
ORDER BY (v.version - 1) / $8::int, a.number, v.version
"""


async def fill_log(source: Toy, rows: int, *, begin: int = 0, things: int = AGGREGATES, in_succession: int = 1) -> int:
    """Put about ``rows`` events of ``things``, above version ``begin``, into the source's log; gives how many.

    ``in_succession``: so many events of a thing stand one after the other.
    """
    versions = max(1, rows // things)
    numbers = list(range(things))
    hashes = [key_hash(MIDORI, f"thing/t{number}") for number in numbers]
    async with source.worker.scoped("*") as connection:
        await connection.execute("SET LOCAL statement_timeout = '10min'")
        await connection.execute(_FILL, MIDORI, ThingMadeV1.TYPE, NOTE, versions, numbers, hashes, begin, in_succession)
    return versions * things


def headers(number: int, version: int, occurred_at: bytes) -> list[tuple[str, bytes]]:
    """What the relay puts beside an event of these logs."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(new_id()).encode()),
        ("ce_type", ThingMadeV1.TYPE.encode()),
        ("ce_source", b"/taiwa/source"),
        ("ce_subject", b"thing/t%d" % number),
        ("ce_time", occurred_at),
        ("ce_sequence", b"%d" % version),
        ("ce_municipality", MIDORI.encode()),
        ("ce_correlationid", str(new_id()).encode()),
        ("content-type", b"application/json"),
    ]


async def fill_topic(installation: Installation, rows: int) -> int:
    """Put about ``rows`` events of 20,000 things on the source's topic; gives how many."""
    versions = max(1, rows // AGGREGATES)
    topic = f"{installation.settings.prefix}source.events"
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.settings.kafka, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    try:
        for version in range(1, versions + 1):
            batches = {partition: producer.create_batch() for partition in range(12)}
            for number in range(AGGREGATES):
                partition = key_hash(MIDORI, f"thing/t{number}") % 12
                key = f"{MIDORI}/thing/t{number}".encode()
                value = ThingMadeV1(thing_id=f"t{number}", size=version, note=NOTE).write().encode()
                given = {"key": key, "value": value, "timestamp": None}
                mine = headers(number, version, b"2026-11-24T09:00:00+00:00")
                if batches[partition].append(**given, headers=mine) is None:
                    await (await producer.send_batch(batches[partition], topic, partition=partition))
                    batches[partition] = producer.create_batch()
                    batches[partition].append(**given, headers=mine)
            for partition, batch in batches.items():
                await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()
    return versions * AGGREGATES


@asynccontextmanager
async def database(installation: Installation, name: str) -> AsyncIterator[str]:
    """A database of its own for others than our services; gives a superuser's URL."""
    full = f"{installation.settings.prefix}{name}"
    admin = await asyncpg.connect(installation.admin_url)
    try:
        await admin.execute(f'CREATE DATABASE "{full}"')
        yield f"{installation.admin_url.rpartition('/')[0]}/{full}"
    finally:
        await admin.execute(f'DROP DATABASE IF EXISTS "{full}" WITH (FORCE)')
        await admin.close()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a topic holds of a run: events a second by the broker's clock, and how they lie per key."""

    rate: float
    records: int
    inverted: int
    repeated: int


async def ends(installation: Installation, topic: str) -> dict[TopicPartition, int]:
    """Where a topic's partitions end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.settings.kafka)
    await consumer.start()
    try:
        places = [TopicPartition(f"{installation.settings.prefix}{topic}", number) for number in range(12)]
        found: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return found
    finally:
        await consumer.stop()


async def watch(installation: Installation, begin: dict[TopicPartition, int], rows: int) -> Seen:
    """Wait until a topic has ``rows`` different events after ``begin``: different ``thing_id`` or ``size``.

    It is read once they may all be there: reading takes a core from who publishes.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.settings.kafka, enable_auto_commit=False)
    consumer.assign(list(begin))
    await consumer.start()
    newest: dict[str, int] = {}
    known: set[tuple[str, int]] = set()
    first, last, records, inverted = 0, 0, 0, 0
    try:
        while sum((await consumer.end_offsets(list(begin))).values()) - sum(begin.values()) < rows:
            await asyncio.sleep(0.1)  # paced: a look at offsets
        for place, at in begin.items():
            consumer.seek(place, at)
        while len(known) < rows:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    event = ThingMadeV1.read(record.value)
                    first, last = min(first or record.timestamp, record.timestamp), max(last, record.timestamp)
                    records += 1
                    if (event.thing_id, event.size) not in known:
                        known.add((event.thing_id, event.size))
                        inverted += event.size < newest.get(event.thing_id, 0)
                    newest[event.thing_id] = max(event.size, newest.get(event.thing_id, 0))
    finally:
        await consumer.stop()
    return Seen(rows / max(0.001, (last - first) / 1000), records, inverted, records - len(known))


async def keys(installation: Installation, topic: str) -> list[str]:
    """The keys of all records of a topic."""
    found: list[str] = []
    end = await ends(installation, topic)
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.settings.kafka, enable_auto_commit=False)
    consumer.assign(list(end))
    await consumer.start()
    try:
        await consumer.seek_to_beginning(*end)
        while len(found) < sum(end.values()):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.key.decode() for record in batch]
    finally:
        await consumer.stop()
    return found

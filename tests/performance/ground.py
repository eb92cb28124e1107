"""The ground both stand on: servers that write to disk as in earnest, databases, topics, rows.

Own embedded servers with fsync on, unless ``TAIWA_TEST_POSTGRES`` and ``TAIWA_TEST_KAFKA`` name some.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer

from chassis.testing import MIDORI, Installation, fresh_installation
from chassis.transaction import key_hash, new_id
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres
from tests.installation.backing import GIVEN_KAFKA, GIVEN_POSTGRES
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, sink_service, source_service, toy

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
        postgres.start()
        kafka.start()
        try:
            yield postgres.url, kafka.bootstrap
        finally:
            kafka.stop()
            postgres.stop()


@asynccontextmanager
async def pair(url: str, kafka: str) -> AsyncIterator[tuple[Installation, Toy, Toy]]:
    """A source and a sink that copies without reacting."""
    async with (
        fresh_installation(url, kafka) as installation,
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation, reacts=False), installation) as sink,
    ):
        for it in (source.api, source.worker, sink.api, sink.worker):
            it.simulated_clock = False  # as in production: no round trip to ask for the town's time
        yield installation, source, sink


_FILL = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
SELECT uuidv7(), $1, 'source.events', $2, 'thing/t' || a.number, v.version, a.hash, now(), uuidv7(), 'system', 'bench',
       '{"thing_id":"t' || a.number || '","size":' || v.version || ',"note":"' || $3 || '"}'
FROM generate_series(1, $4::int) AS v (version), unnest($5::int[], $6::int[]) AS a (number, hash)
ORDER BY v.version, a.number
"""


async def fill_log(source: Toy, rows: int) -> int:
    """Put about ``rows`` events of 20,000 things into the source's log; gives how many."""
    versions = max(1, rows // AGGREGATES)
    numbers = list(range(AGGREGATES))
    hashes = [key_hash(MIDORI, f"thing/t{number}") for number in numbers]
    async with source.worker.scoped("*") as connection:
        await connection.execute("SET LOCAL statement_timeout = '10min'")
        await connection.execute(_FILL, MIDORI, ThingMadeV1.TYPE, NOTE, versions, numbers, hashes)
    return versions * AGGREGATES


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

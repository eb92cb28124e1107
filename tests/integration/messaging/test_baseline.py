"""A consumer that is new copies what was said before it was there, and acts on what is said from then on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from chassis.baseline import Baseline
from chassis.consumer import Consumer
from chassis.database import database_name
from chassis.kafka import admin_client
from chassis.testing import MIDORI, Installation
from chassis.transaction import key_hash
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, sink_service, toy, until


async def born_now(sink: Toy) -> None:
    """The database was made this moment, not when its template was."""
    name = database_name(sink.installation.settings, "sink")
    connection = await asyncpg.connect(sink.installation.admin_url, database=name)
    try:
        await connection.execute("UPDATE schema_migrations SET applied_at = clock_timestamp()")
    finally:
        await connection.close()


@asynccontextmanager
async def consuming(sink: Toy) -> AsyncIterator[None]:
    """The consumer as ``serve`` runs it."""
    settings, stop = sink.installation.settings, asyncio.Event()
    baseline = Baseline(sink.service, sink.worker, settings)
    consumer = Consumer(sink.service, sink.worker, settings)
    task = asyncio.create_task(baseline.run(consumer.run, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def copied(sink: Toy, version: int) -> bool:
    return bool(await sink.value("SELECT count(*) = 3 FROM copies WHERE version = $1", version))


async def effects(sink: Toy) -> list[int]:
    return [it["version"] for it in await sink.rows("SELECT version FROM effects ORDER BY version")]


async def publish(installation: Installation, version: int) -> None:
    for number in range(3):
        await installation.publish(ThingMadeV1(thing_id=f"t{number}"), version)


async def test_a_new_service_copies_what_is_old_and_acts_on_what_is_new(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        await publish(installation, 1)
        await born_now(sink)
        async with consuming(sink):
            await until(lambda: copied(sink, 1), 30)
            assert await effects(sink) == []
            await publish(installation, 2)
            await until(lambda: copied(sink, 2))
        assert await effects(sink) == [2, 2, 2]


async def test_a_restart_in_the_middle_of_the_old_records_acts_on_none_of_them(installation: Installation) -> None:
    """The line is recorded before the first record is read; once it is passed it is forgotten."""
    async with toy(sink_service(installation), installation) as sink:
        await publish(installation, 1)
        await born_now(sink)
        first = Baseline(sink.service, sink.worker, installation.settings)
        await first.record()
        assert await sink.value("SELECT sum(acts_from) FROM offsets") == 3
        await publish(installation, 2)
        async with consuming(sink):
            await until(lambda: copied(sink, 2), 30)
            assert await effects(sink) == [2, 2, 2]
        assert await sink.value("SELECT sum(acts_from) FROM offsets") == 0


async def test_a_service_that_was_there_first_acts_on_everything(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        await publish(installation, 1)
        async with consuming(sink):
            await until(lambda: copied(sink, 1), 30)
            assert await sink.value("SELECT sum(acts_from) FROM offsets") == 0
        assert await effects(sink) == [1, 1, 1]


async def test_a_new_service_does_not_begin_with_a_log_that_lacks_its_beginning(installation: Installation) -> None:
    """Its copies would never be whole; found by the nemesis, which deleted records in the second of a first start."""
    async with toy(sink_service(installation), installation) as sink:
        await publish(installation, 1)
        place = TopicPartition(f"{installation.settings.prefix}source.events", key_hash(MIDORI, "thing/t0") % 12)
        async with admin_client(installation.settings) as admin:
            await admin.delete_records({place: RecordsToDelete(before_offset=1)})
        await born_now(sink)

        async def stopped() -> list[str]:
            return [it["command"] for it in await sink.rows("SELECT command FROM stops")]

        async with consuming(sink):
            assert await until(stopped, 30) == ["taiwa republish source"]


async def test_a_topic_that_is_read_for_the_first_time_is_acted_on_from_lately(installation: Installation) -> None:
    """A service of a year ago begins to read a topic: what was said in these minutes counts, the year does not."""
    async with toy(sink_service(installation), installation) as sink:
        async with sink.worker.scoped("*") as connection:
            await connection.execute(
                "INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation) "
                "VALUES ('sink', 'other.events', 0, 5, 'c', 1)"
            )
        await publish(installation, 1)
        async with consuming(sink):
            await until(lambda: copied(sink, 1), 30)
        assert await effects(sink) == [1, 1, 1]

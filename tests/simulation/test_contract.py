"""The simulated PostgreSQL and Kafka are like the real ones, as far as anything rests on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete

from chassis.consumer import hosting
from chassis.database import Database
from chassis.kafka import admin_client
from chassis.settings import InstallationSettings
from chassis.testing import (
    PASSWORD,
    drop_test_database,
    fresh_installation,
    make_test_database,
)
from chassis.topics import PARTITIONS, TopicSpec, ensure_topics, wanted_config
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from tests.integration.messaging.services import source_service
from tests.simulation import kafka_contract, postgres_contract
from tests.simulation.kafka_contract import STATES, TOPIC
from tests.simulation.world import SETTINGS, World, current, replaced

NO_KAFKA = "127.0.0.1:1"
NO_POSTGRES = "postgresql://127.0.0.1:1"


def name_of(check: Any) -> str:
    """The name of one case."""
    return str(check.__name__)


def in_a_simulated_world(check: Callable[[World], Coroutine[Any, Any, None]], partitions: int = 1) -> None:
    """Run a check as a process of its own."""
    world = World(1, partitions=partitions)
    with replaced(), current(world):
        process = world.process("contract")

        async def main() -> None:
            await process.spawn(check(world))

        world.loop.run(main())


@pytest.mark.parametrize("check", postgres_contract.CHECKS, ids=name_of)
def test_the_simulated_postgres(check: postgres_contract.Check) -> None:
    async def run(world: World) -> None:
        await check(world.database(world.processes[0], world.source))

    in_a_simulated_world(run)


@pytest.mark.parametrize("check", postgres_contract.CHECKS, ids=name_of)
async def test_the_real_postgres(check: postgres_contract.Check, postgres_url: str) -> None:
    async with fresh_installation(postgres_url, NO_KAFKA) as installation:
        service = source_service(installation)
        await make_test_database(installation, service)
        database = await Database.connect(installation.settings, service.name, "worker", PASSWORD, 5)
        try:
            await check(database)
        finally:
            await database.close()
            await drop_test_database(installation, service)


class Simulated:
    """A cluster of a simulated world."""

    settings = SETTINGS

    def __init__(self, world: World) -> None:
        self._broker = world.broker

    async def truncate(self, partition: int, before: int) -> None:
        self._broker.topics[TOPIC][partition].truncate(before)

    async def raise_partitions(self, count: int) -> None:
        self._broker.raise_partitions(TOPIC, count)

    async def make_states(self) -> None:
        self._broker.make(STATES)

    async def compact(self, before: int) -> None:
        self._broker.topics[STATES][0].compact(before)

    async def leave(self) -> None:
        self._broker.leave()

    async def come_back(self) -> None:
        self._broker.come_back()


@pytest.mark.parametrize("check", [*kafka_contract.CHECKS, *kafka_contract.ALONE], ids=name_of)
def test_the_simulated_kafka(check: kafka_contract.Check) -> None:
    async def run(world: World) -> None:
        await check(Simulated(world))

    in_a_simulated_world(run, partitions=PARTITIONS)


class Real:
    """A cluster of its own names; of its own broker, if one is given."""

    def __init__(self, settings: InstallationSettings, broker: Kafka | None = None) -> None:
        self.settings = settings
        self._broker = broker

    async def truncate(self, partition: int, before: int) -> None:
        async with admin_client(self.settings) as admin:
            place = TopicPartition(f"{self.settings.prefix}{TOPIC}", partition)
            await admin.delete_records({place: RecordsToDelete(before_offset=before)})

    async def raise_partitions(self, count: int) -> None:
        async with admin_client(self.settings) as admin:
            await admin.create_partitions({f"{self.settings.prefix}{TOPIC}": NewPartitions(count)})

    async def make_states(self) -> None:
        eager = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"}
        config = wanted_config(TopicSpec(STATES, compacted=True)) | eager
        async with admin_client(self.settings) as admin:
            await admin.create_topics([NewTopic(f"{self.settings.prefix}{STATES}", 1, 1, topic_configs=config)])
        await ensure_topics(self.settings, [TopicSpec(STATES)])

    async def compact(self, before: int) -> None:
        """It does so by itself."""

    async def leave(self) -> None:
        assert self._broker is not None
        assert self._broker.process is not None
        self._broker.process.kill()
        self._broker.process.wait()

    async def come_back(self) -> None:
        assert self._broker is not None
        await asyncio.to_thread(self._broker.start)


@asynccontextmanager
async def real(kafka: str, broker: Kafka | None = None) -> AsyncIterator[Real]:
    """With the topic, and nothing on it."""
    async with fresh_installation(NO_POSTGRES, kafka) as installation:
        await installation.make_topics({TOPIC: False})
        yield Real(installation.settings, broker)


@pytest.fixture
def quick_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients see of topics is half a second old, not ten."""
    monkeypatch.setattr(hosting, "METADATA_MS", 500)


@pytest.mark.usefixtures("quick_metadata")
@pytest.mark.parametrize("check", kafka_contract.CHECKS, ids=name_of)
async def test_the_real_kafka(check: kafka_contract.Check, kafka: str) -> None:
    async with real(kafka) as cluster:
        await check(cluster)


class Eager(Kafka):
    """Looks for what is to be compacted five times a second, not every 15 seconds."""

    def _properties(self) -> str:
        return f"{super()._properties()}log.cleaner.backoff.ms=200\n"


@pytest.fixture(scope="module")
def broker(server_folder: Callable[[str], Path]) -> Iterator[Kafka]:
    """A Kafka that nobody else uses."""
    classpath = jars.fetch(jars.locked(), jars.folder())
    it = Eager(server_folder("contract"), ports.free_port(), ports.free_port(), classpath)
    it.start()
    yield it
    it.stop(0.1)


@pytest.mark.xdist_group("a Kafka that is killed")
@pytest.mark.usefixtures("quick_metadata")
@pytest.mark.parametrize("check", kafka_contract.ALONE, ids=name_of)
async def test_a_real_kafka_of_its_own(check: kafka_contract.Check, broker: Kafka) -> None:
    async with real(broker.bootstrap, broker) as cluster:
        await check(cluster)

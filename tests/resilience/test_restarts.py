"""Kafka and PostgreSQL die and come back under the load: nothing is lost, nothing twice, everything in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from chassis.testing import fresh_installation
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres
from tests.integration.messaging.services import sink_service, source_service, toy, until
from tests.resilience.test_crashes import Ground, everything

THINGS = 5


@pytest.fixture(scope="module")
def own_postgres(server_folder: Callable[[str], Path]) -> Iterator[Postgres]:
    """A PostgreSQL that writes to disk in earnest, and may be killed."""
    server = Postgres(server_folder("postgres"), ports.free_port(), durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_kafka(server_folder: Callable[[str], Path]) -> Iterator[Kafka]:
    """A Kafka that may be killed."""
    jar_files = jars.fetch(jars.locked(), jars.folder())
    broker = Kafka(server_folder("kafka"), ports.free_port(), ports.free_port(), jar_files)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def ground(own_postgres: Postgres, own_kafka: Kafka) -> AsyncIterator[Ground]:
    async with (
        fresh_installation(own_postgres.url, own_kafka.bootstrap) as installation,
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        yield Ground(installation, source, sink)


def crash(server: Postgres | Kafka) -> None:
    """End it without a word: the broker by kill -9, PostgreSQL so that it must recover at the next start."""
    assert server.process is not None
    server.process.send_signal(signal.SIGQUIT if isinstance(server, Postgres) else signal.SIGKILL)
    server.process.wait(20)


async def write(ground: Ground, versions: range) -> None:
    """Commands that go on trying, as a person would; a command that was answered is never lost."""
    for version in versions:
        for number in range(THINGS):
            while True:
                try:
                    if await ground.source.value(
                        "SELECT true FROM event_log WHERE aggregate = $1 AND version = $2", f"thing/t{number}", version
                    ):
                        break
                    await ground.source.make(f"t{number}", version)
                    break
                except Exception:  # noqa: BLE001  the database is away
                    await asyncio.sleep(0.2)  # paced: a person tries again


@pytest.mark.parametrize("victim", ["kafka", "postgres"])
async def test_a_crash_of_a_server_loses_and_repeats_nothing(
    ground: Ground, own_postgres: Postgres, own_kafka: Kafka, victim: str
) -> None:
    server = own_kafka if victim == "kafka" else own_postgres
    await write(ground, range(1, 4))
    await until(lambda: everything(ground.sink, THINGS), 30)
    writing = asyncio.create_task(write(ground, range(4, 9)))
    await asyncio.to_thread(crash, server)
    await asyncio.sleep(1)  # paced: the commands meet a server that is away
    await asyncio.to_thread(server.start)
    await writing

    async def caught_up() -> dict[str, list[int]] | None:
        try:
            return await everything(ground.sink, THINGS * 8)
        except Exception:  # noqa: BLE001  connections of the pool are still dead
            return None

    assert await until(caught_up, 90) == {f"t{number}": list(range(1, 9)) for number in range(THINGS)}
    assert await ground.sink.rows("SELECT * FROM dead_letters") == []

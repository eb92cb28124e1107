"""Kafka's disk is wiped while everything runs: the event logs bring everything back, and nobody is told twice."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from chassis.database import database_name
from chassis.operations.acts import Operator
from chassis.rebuild import checksums, rebuild
from chassis.restored import Published, publish_again
from chassis.testing import fresh_installation
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from tests.integration.messaging.services import TOPICS, Behaviour, Toy, sink_service, source_service, toy, until
from tests.resilience.test_crashes import Ground, everything, make_all

TABLES = ["copies", "owner_copies"]
AT_NIGHT = Operator("operator", "花")


@pytest.fixture(scope="module")
def broker(server_folder: Callable[[str], Path]) -> Iterator[Kafka]:
    """A Kafka whose disk may be wiped."""
    jar_files = jars.fetch(jars.locked(), jars.folder())
    it = Kafka(server_folder("kafka"), ports.free_port(), ports.free_port(), jar_files)
    it.start()
    yield it
    it.stop()


@pytest.fixture
async def ground(postgres_url: str, broker: Kafka) -> AsyncIterator[Ground]:
    async with (
        fresh_installation(postgres_url, broker.bootstrap) as installation,
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation, Behaviour(crash={"never"})), installation) as sink,
    ):
        source.relay()
        sink.relay()
        sink.consumer()
        yield Ground(installation, source, sink)


def die(broker: Kafka) -> None:
    """kill -9."""
    assert broker.process is not None
    broker.process.send_signal(signal.SIGKILL)
    broker.process.wait(20)


def start_empty(broker: Kafka) -> None:
    """The disk was replaced."""
    shutil.rmtree(broker.directory / "log")
    broker.start()


async def republish_all(ground: Ground) -> dict[str, Published]:
    """``taiwa republish --all``."""
    given = (ground.installation.admin_url, ground.installation.settings)
    return {
        service: await publish_again(
            *given, service, [it for it in TOPICS if it.name.startswith(f"{service}.")], ["sink"], by=AT_NIGHT
        )
        for service in ("source", "sink")
    }


async def looked_at(sink: Toy) -> dict[str, tuple[int, str]]:
    name = database_name(sink.installation.settings, "sink")
    connection = await asyncpg.connect(sink.installation.admin_url, database=name)
    try:
        return await checksums(connection, TABLES)
    finally:
        await connection.close()


async def test_after_kafka_was_wiped_everything_is_as_before_and_nothing_was_done_twice(
    ground: Ground, broker: Kafka
) -> None:
    """Facts go on being decided while Kafka is away and gone; an open dead letter is tried again with its event."""
    await make_all(ground.source, last=3)
    await ground.source.make("bad", 1, note="never")
    await ground.source.make("bad", 2)
    await until(lambda: everything(ground.sink, 12), 60)

    async def letters() -> bool:
        # A relay that lost its producer publishes its page again: what waits may wait twice, and is applied once.
        open_ones = "SELECT count(DISTINCT event_id) = 2 FROM dead_letters WHERE closed_at IS NULL"
        return bool(await ground.sink.value(open_ones))

    await until(letters)
    before = await looked_at(ground.sink)

    await asyncio.to_thread(die, broker)
    await make_all(ground.source, first=4, last=4)
    await asyncio.to_thread(start_empty, broker)
    done = await republish_all(ground)
    assert done["source"].events == 18
    assert done["sink"].events >= 12  # and those of what was applied meanwhile
    assert not any(it.lost or it.went_back for it in done.values())
    found = await until(lambda: everything(ground.sink, 16), 90)
    assert found == {f"t{number}": [1, 2, 3, 4] for number in range(4)}
    await until(letters, 30)
    assert await ground.sink.rows("SELECT * FROM stops") == []
    after = await looked_at(ground.sink)
    assert after != before  # version 4 of each thing
    rebuilt = await rebuild(ground.installation.admin_url, ground.sink.service, "sink.copies")
    assert [(it.missing, it.wrong, it.surplus) for it in rebuilt.differences] == [(0, 0, 0)]
    assert await looked_at(ground.sink) == after
    # What the sink itself said is on its topic once each, and no fact more.
    answered = await until(lambda: facts(ground, 16), 30)
    assert sorted(answered) == sorted(set(answered))


async def facts(ground: Ground, count: int) -> list[str] | None:
    found = [it.aggregate for it in await ground.installation.facts_on("sink.events")]
    return found if len(found) >= count else None

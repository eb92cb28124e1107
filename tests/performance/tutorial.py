"""What FastStream's tutorials show, killed by kill -9: publish after commit, and a consumer that acknowledges messages.

Beside them ours under the same kills. Counted is what was committed and never arrived, or arrived twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from pydantic import BaseModel

from chassis.database import Database
from chassis.testing import MIDORI, PASSWORD, Installation
from chassis.topics import TopicSpec, ensure_topics
from chassis.transaction import Actor, new_id
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE, database, keys
from tests.performance.processes import process

TOPIC = "tutorial.events"
WRITERS = 16


class Made(BaseModel):
    """The tutorial's message."""

    id: str
    note: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Of so many events, these never arrived and these arrived more than once."""

    events: int
    lost: int
    repeated: int


async def run(role: str, installation: Installation, **given: Any) -> None:
    """A process to be killed."""
    if role == "tutorial-writer":
        await _publish_after_commit(installation, given["url_of"])
    elif role == "tutorial-consumer":
        await _acknowledge(installation, given["url_of"], AckPolicy[given["policy"]])
    else:
        await _emit(installation)


async def _writers(write: Callable[[], Awaitable[None]]) -> None:
    async def one() -> None:
        while True:
            await write()

    await asyncio.gather(*(one() for _ in range(WRITERS)))


async def _publish_after_commit(installation: Installation, url: str) -> None:
    broker = KafkaBroker(installation.settings.kafka, logger=None)
    await broker.start()
    pool = await asyncpg.create_pool(url, min_size=WRITERS, max_size=WRITERS)

    async def write() -> None:
        made = Made(id=str(new_id()), note=NOTE)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO made (id) VALUES ($1)", made.id)
        await broker.publish(made, f"{installation.settings.prefix}{TOPIC}", key=made.id.encode())

    await _writers(write)


async def _emit(installation: Installation) -> None:
    api = await Database.connect(installation.settings, "source", "api", PASSWORD, WRITERS)
    api.simulated_clock = False

    async def write() -> None:
        async with api.transaction(MIDORI, Actor("system", "bench")) as transaction:
            transaction.emit(ThingMadeV1(thing_id=str(new_id()), note=NOTE), version=1)

    await _writers(write)


async def _acknowledge(installation: Installation, url: str, policy: AckPolicy) -> None:
    broker = KafkaBroker(installation.settings.kafka, logger=None)
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    group = f"{installation.settings.prefix}tutorial-{policy.value}"

    @broker.subscriber(
        f"{installation.settings.prefix}{TOPIC}", group_id=group, auto_offset_reset="earliest", ack_policy=policy
    )
    async def apply(made: Made) -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO applied (id, policy) VALUES ($1, $2)", made.id, policy.name)

    await broker.start()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def ground(installation: Installation) -> AsyncIterator[str]:
    """The tutorial's topic and tables."""
    await ensure_topics(installation.settings, [TopicSpec(TOPIC)])
    async with database(installation, "tutorial") as url:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "CREATE TABLE made (id text PRIMARY KEY); CREATE TABLE applied (id text NOT NULL, policy text NOT NULL)"
        )
        await connection.close()
        yield url


async def _count(url: str, sql: str, *given: Any) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(sql, *given))
    finally:
        await connection.close()


async def writers_killed(installation: Installation, url: str, *, kills: int, seconds: float) -> Loss:
    """Publish after commit."""
    for kill in range(1, kills + 1):
        before = await _count(url, "SELECT count(*) FROM made")
        async with process(installation, "tutorial-writer", url_of=url) as writer:
            while await _count(url, "SELECT count(*) FROM made") < before + 200:
                await asyncio.sleep(0.05)
            await asyncio.sleep(seconds + kill / 97)  # not at the same point of a cycle each time
            await writer.kill()
    committed = await _count(url, "SELECT count(*) FROM made")
    arrived = await keys(installation, TOPIC)
    return Loss(committed, committed - len(set(arrived)), len(arrived) - len(set(arrived)))


async def our_writers_killed(source: Toy, *, kills: int, seconds: float) -> Loss:
    """Emit in the transaction; the relay is killed with the writers each time."""
    installation = source.installation
    counted = "SELECT count(*) FROM event_log"
    for kill in range(1, kills + 1):
        before = await source.value(counted)
        async with process(installation, "tutorial-ours") as writer, process(installation, "relay") as relay:
            while await source.value(counted) < before + 200:
                await asyncio.sleep(0.05)
            await asyncio.sleep(seconds + kill / 97)
            await writer.kill()
            await relay.kill()
    committed = await source.value(counted)
    async with process(installation, "relay"):
        while len(set(arrived := await keys(installation, "source.events"))) < committed:
            await asyncio.sleep(0.2)
    return Loss(committed, committed - len(set(arrived)), len(arrived) - len(set(arrived)))


async def consumers_killed(installation: Installation, url: str, policy: str, *, kills: int) -> Loss:
    """A consumer per message, killed and started anew; it has all the time it wants after the last kill."""
    events = len(set(await keys(installation, TOPIC)))
    applied = "SELECT count(DISTINCT id) FROM applied WHERE policy = $1"
    for kill in range(1, kills + 1):
        async with process(installation, "tutorial-consumer", url_of=url, policy=policy) as consumer:
            while await _count(url, applied, policy) < events * kill // (kills + 1):
                await asyncio.sleep(0.02)
            await consumer.kill()
    async with process(installation, "tutorial-consumer", url_of=url, policy=policy):
        before, still = -1, 0
        while still < 30:  # half a minute without anything new: the dead member's session is over long since
            now = await _count(url, applied, policy)
            still = still + 1 if now == before else 0
            before = now
            if now >= events:
                break
            await asyncio.sleep(1)
    rows = await _count(url, "SELECT count(*) FROM applied WHERE policy = $1", policy)
    distinct = await _count(url, applied, policy)
    return Loss(events, events - distinct, rows - distinct)


async def our_consumers_killed(source: Toy, sink: Toy, *, kills: int) -> Loss:
    """Ours over the log of the source, killed and started anew."""
    events = int(await source.value("SELECT count(*) FROM event_log"))
    effects = "SELECT count(DISTINCT thing_id) FROM effects"
    async with process(sink.installation, "relay"):
        for kill in range(1, kills + 1):
            async with process(sink.installation, "reacting-consumer") as consumer:
                while await sink.value(effects) < events * kill // (kills + 1):
                    await asyncio.sleep(0.02)
                await consumer.kill()
        async with process(sink.installation, "reacting-consumer"):
            while await sink.value(effects) < events:
                await asyncio.sleep(0.1)
    rows = await sink.value("SELECT count(*) FROM effects")
    return Loss(events, events - await sink.value(effects), rows - await sink.value(effects))

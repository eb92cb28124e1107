"""The two toy services. A thing's ``note`` tells the sink's reaction to fail: that is how tests make poison."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic_settings import SettingsConfigDict

from chassis.consumer import Consumer
from chassis.database import Database
from chassis.faults import NotYet
from chassis.refusals import Refusal
from chassis.relay import Relay
from chassis.service import Key, Projection, Reaction, Received, Service, StateSource, TimerHandler
from chassis.settings import ServiceSettings
from chassis.testing import MIDORI, PASSWORD, Installation, drop_test_database, eventually, make_test_database
from chassis.topics import TopicSpec, ensure_topics
from chassis.transaction import Actor, Connection, Transaction
from tests.integration.messaging.facts import OwnerStateV1, ThingAnsweredV1, ThingMadeV1

T = TypeVar("T")
HERE = Path(__file__).parent
TOPICS = (TopicSpec("source.events"), TopicSpec("source.owners", compacted=True), TopicSpec("sink.events"))


class ToySettings(ServiceSettings):
    """Settings of a toy service."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_TOY_", extra="ignore", frozen=True)
    port: int = 0


class TooBig(Refusal):
    """The sink refuses things called too big."""

    code = "sink.too_big"
    en = "The thing is too big."


@dataclass
class Behaviour:
    """What the sink's reaction does with certain notes; tests change it while the service runs."""

    refuse: set[str] = field(default_factory=set)
    crash: set[str] = field(default_factory=set)
    wait: set[str] = field(default_factory=set)


async def read_owners(connection: Connection, keys: Sequence[Key]) -> Mapping[Key, str]:
    """Present owners."""
    rows = await connection.fetch(
        """
        SELECT o.* FROM owners AS o JOIN unnest($1::text[], $2::text[]) AS k (municipality, aggregate)
        ON o.municipality = k.municipality AND 'owner/' || o.owner_id = k.aggregate
        """,
        [municipality for municipality, _ in keys],
        [aggregate for _, aggregate in keys],
    )
    return {
        (row["municipality"], f"owner/{row['owner_id']}"): OwnerStateV1(
            owner_id=row["owner_id"], name=row["name"], state_version=row["state_version"]
        ).write()
        for row in rows
    }


async def copy_things(connection: Connection, records: Sequence[Received[Any]]) -> None:
    """Set-based upsert of the newest version of each thing."""
    newest = {(it.municipality, it.event.thing_id): it for it in records}.values()
    await connection.execute(
        """
        INSERT INTO copies (municipality, thing_id, size, version)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        ON CONFLICT (municipality, thing_id) DO UPDATE SET size = excluded.size, version = excluded.version
        """,
        [it.municipality for it in newest],
        [it.event.thing_id for it in newest],
        [it.event.size for it in newest],
        [it.version for it in newest],
    )


async def copy_owners(connection: Connection, records: Sequence[Received[Any]]) -> None:
    """Upsert by ``state_version``; a tombstone erases the name."""
    for it in records:
        await connection.execute(
            """
            INSERT INTO owner_copies (municipality, owner_id, name, state_version) VALUES ($1, $2, $3, $4)
            ON CONFLICT (municipality, owner_id) DO UPDATE
            SET name = excluded.name, state_version = excluded.state_version
            WHERE owner_copies.state_version <= excluded.state_version
            """,
            it.municipality,
            it.aggregate_id,
            None if it.event is None else it.event.name,
            it.version if it.event is None else it.event.state_version,
        )


def answer_things(behaviour: Behaviour) -> Reaction:
    """Writes one effect row and emits one event per thing."""

    async def answer_thing(transaction: Transaction, it: Received[ThingMadeV1]) -> None:
        if it.event.note in behaviour.refuse:
            raise TooBig
        if it.event.note in behaviour.crash:
            raise RuntimeError("a defect")
        if it.event.note in behaviour.wait:
            raise NotYet("waits for the owner")
        await transaction.connection.execute(
            "INSERT INTO effects (municipality, thing_id, version, seen_municipality) VALUES ($1, $2, $3, "
            "current_setting('taiwa.municipality'))",
            transaction.municipality,
            it.event.thing_id,
            it.version,
        )
        transaction.emit(ThingAnsweredV1(thing_id=it.event.thing_id, of_version=it.version), version=1)

    return Reaction(ThingMadeV1, answer_thing)


def source_service(installation: Installation, timers: Sequence[TimerHandler] = ()) -> Service:
    """Makes things."""
    return Service(
        name="source",
        title="source",
        settings=ToySettings(installation=installation.settings, database_password=PASSWORD),
        migrations=HERE / "source" / "migrations",
        emits=(ThingMadeV1, OwnerStateV1),
        states=(StateSource(OwnerStateV1, read_owners),),
        timers=tuple(timers),
    )


def sink_service(installation: Installation, behaviour: Behaviour | None = None, *, reacts: bool = True) -> Service:
    """Copies things and owners, answers things."""
    return Service(
        name="sink",
        title="sink",
        settings=ToySettings(installation=installation.settings, database_password=PASSWORD),
        migrations=HERE / "sink" / "migrations",
        emits=(ThingAnsweredV1,),
        projections=(
            Projection("sink.copies", (ThingMadeV1,), copy_things),
            Projection("sink.owner_copies", (OwnerStateV1,), copy_owners),
        ),
        reactions=(answer_things(behaviour or Behaviour()),) if reacts else (),
    )


@dataclass
class Toy:
    """A toy service with its two databases."""

    service: Service
    installation: Installation
    api: Database
    worker: Database
    _running: list[tuple[asyncio.Event, asyncio.Task[None]]] = field(default_factory=list)
    SYSTEM: ClassVar[Actor] = Actor("system", "test")

    def start(self, loop: Relay | Consumer | Any) -> Any:
        """Run one of its loops until the test ends or :meth:`stop`."""
        stop = asyncio.Event()
        self._running.append((stop, asyncio.create_task(loop.run(stop))))
        return loop

    def relay(self) -> Relay:
        """Start its relay."""
        relay: Relay = self.start(Relay(self.service, self.worker, self.api.committed, self.installation.settings))
        return relay

    def consumer(self) -> Consumer:
        """Start its consumer."""
        consumer: Consumer = self.start(Consumer(self.service, self.worker, self.installation.settings))
        return consumer

    async def stop(self) -> None:
        """Stop its loops."""
        for stop, _ in self._running:
            stop.set()
        for _, task in self._running:
            await asyncio.wait_for(task, 30)
        self._running.clear()

    async def make(self, thing_id: str, version: int, *, municipality: str = MIDORI, **fields: Any) -> None:
        """Emit one thing."""
        async with self.api.transaction(municipality, self.SYSTEM) as transaction:
            transaction.emit(ThingMadeV1(thing_id=thing_id, **fields), version=version)

    async def rows(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """What a query gives over all municipalities."""
        async with self.worker.scoped("*") as connection:
            return [dict(row) for row in await connection.fetch(sql, *arguments)]

    async def value(self, sql: str, *arguments: object) -> Any:
        """The first value of a query over all municipalities."""
        async with self.worker.scoped("*") as connection:
            return await connection.fetchval(sql, *arguments)


@asynccontextmanager
async def toy(service: Service, installation: Installation) -> AsyncIterator[Toy]:
    """A toy service with a database of its own, and the topics."""
    await ensure_topics(installation.settings, TOPICS)
    await installation.make_topics({spec.name: spec.compacted for spec in TOPICS})  # so that it deletes them
    await make_test_database(installation, service)
    try:
        api = await Database.connect(installation.settings, service.name, "api", PASSWORD, 8)
        worker = await Database.connect(installation.settings, service.name, "worker", PASSWORD, 8)
        it = Toy(service, installation, api, worker)
        try:
            yield it
        finally:
            await it.stop()
            await api.close()
            await worker.close()
    finally:
        await drop_test_database(installation, service)


async def until(check: Callable[[], Awaitable[T | None]], timeout: float = 45) -> T:  # noqa: ASYNC109  patience
    """What ``check`` gives once it gives something true."""

    async def ask() -> T | None:
        return await check()

    found: T = await eventually(ask, timeout)  # type: ignore[arg-type]  # a coroutine confuses the solver
    return found

"""The world of one schedule: two services on a simulated PostgreSQL and Kafka, run by the product's own code.

``source`` makes things by commands and timers and has a relay; ``sink`` copies and answers them. In some worlds things
have owners, whose states travel on a compacted topic. What the product
imports from asyncpg's and aiokafka's side is replaced for the time of a schedule, and nothing else: relay, publisher,
consumer, dead letters, timers and transactions are the ones that run in production, with shorter idle polls.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from pydantic import SecretStr

import chassis.consumer.assignment as consumer_assignment
import chassis.consumer.batch as consumer_batch
import chassis.consumer.loop as consumer_loop
import chassis.relay.loop as relay_loop
import chassis.relay.publisher as relay_publisher
import chassis.timers as timers_role
from chassis import clocks, database, dead_letters, repair, transaction
from chassis.consumer import Consumer
from chassis.consumer.decide import FailureRatio
from chassis.database import Database
from chassis.faults import NotYet
from chassis.operations import acts
from chassis.refusals import ConcurrentChange
from chassis.relay import Relay, fitting
from chassis.service import Key, Projection, Reaction, Received, Service, StateSource, TimerHandler
from chassis.settings import InstallationSettings, ServiceSettings
from chassis.timers import Timers
from chassis.topics import PARTITIONS, TopicSpec
from chassis.transaction import Actor, Transaction
from tests.integration.messaging.facts import OwnerStateV1, ThingAnsweredV1, ThingMadeV1
from tests.simulation import statements
from tests.simulation.kafka import Broker, Hosting, Producer
from tests.simulation.loop import Loop
from tests.simulation.postgres import BEGINNING, Pool, Server, Session
from tests.simulation.processes import CURRENT, Process

TOWN = "999997"
TOPIC = ThingMadeV1.TOPIC
STATES = OwnerStateV1.TOPIC
PERSON = Actor("staff", "somebody")
SETTINGS = InstallationSettings(environment="test", prefix="", simulated_clock=True)

_now: list[World] = []
"""The world whose schedule runs."""


class World:
    """Everything of one schedule."""

    def __init__(self, seed: int, *, partitions: int = 2, traced: bool = False, states: bool = False) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311  a simulation
        self.loop = Loop()
        self.loop.born = _note_task
        self.broker = Broker(self.loop, self.chance, partitions)
        self.topics = [TopicSpec(TOPIC), *([TopicSpec(STATES, compacted=True)] if states else ())]
        for spec in self.topics:
            self.broker.make(spec.name)
        self.states = states
        self.source = Server(self.loop, self.chance, "source", "postgresql-1", statements.STATEMENTS)
        self.sink = Server(self.loop, self.chance, "sink", "postgresql-1", statements.STATEMENTS)
        self.cured: set[str] = set()
        """Notes that fail no longer."""
        self.failing_deploy = False
        self.timer_trouble = 0.0
        self.civil_before = BEGINNING
        """The latest time the civil clock showed before it was put back: what was due then may still be running."""
        self.processes: list[Process] = []
        self.roles: dict[str, Any] = {}
        """The newest role object of each process name."""
        self.trace: list[str] | None = [] if traced else None
        self._ids = 0

    def tell(self, what: str) -> None:
        """A line of the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(f"{self.loop.now:8.3f}  {what}")

    def new_id(self) -> UUID:
        """An id that is the same in every run of this seed."""
        self._ids += 1
        return UUID(int=self._ids)

    def process(self, name: str) -> Process:
        """A new process."""
        it = Process(self.loop, name)
        self.processes.append(it)
        return it

    def database(self, process: Process, server: Server) -> Database:
        """Its connections."""
        return Database(Pool(server, process), simulated_clock=True)  # type: ignore[arg-type]  # stands in for asyncpg's

    def start(self, name: str, role: str) -> Process:
        """Start a relay, a consumer or a timers role in a process of its own."""
        self.tell(f"{name} starts")
        process = self.process(name)
        server = self.sink if role == "consumer" else self.source

        async def run() -> None:
            at = self.database(process, server)
            made: Relay | Consumer | Timers
            if role == "relay":
                made = Relay(self.source_service, at, None, SETTINGS)
            elif role == "consumer":
                made = Consumer(self.sink_service, at, SETTINGS)
            else:
                made = Timers(self.source_service, at, SETTINGS)
            self.roles[name] = made
            await made.run(process.ending)

        process.spawn(run())
        return process

    def of(self, name: str) -> Process | None:
        """The living process of this name."""
        return next((it for it in self.processes if it.name == name and it.alive), None)

    # the two services

    @property
    def source_service(self) -> Service:
        return _service(
            "source",
            emits=(ThingMadeV1, *((OwnerStateV1,) if self.states else ())),
            states=(StateSource(OwnerStateV1, _read_owners),),
            timers=(TimerHandler("remind", self._remind),),
        )

    @property
    def sink_service(self) -> Service:
        copies_of_owners = (Projection("sink.owner_copies", (OwnerStateV1,), _copy_owners),) if self.states else ()
        return _service(
            "sink",
            projections=(Projection("sink.copies", (ThingMadeV1,), _copy_things), *copies_of_owners),
            reactions=(Reaction(ThingMadeV1, self._answer_thing),),
        )

    async def _remind(self, transaction: Transaction, aggregate: str) -> None:
        """The effect of a timer: a note and an event."""
        if self.chance.random() < self.timer_trouble:
            raise self.chance.choice([ConnectionResetError("lost"), ConcurrentChange()])
        await transaction.connection.execute(statements.NOTE, aggregate, "fired")
        thing = aggregate.partition("/")[2]
        version = await transaction.connection.fetchval(statements.TOUCH, thing)
        transaction.emit(ThingMadeV1(thing_id=thing), version=version)

    async def _answer_thing(self, transaction: Transaction, it: Received[ThingMadeV1]) -> None:
        note = it.event.note
        if self.failing_deploy:
            raise RuntimeError("a bad deploy")
        if note and note not in self.cured:
            kind = note.partition(":")[0]
            if kind == "waits":
                raise NotYet("waits for another fact")
            if kind == "refused":
                raise ConcurrentChange
            if kind == "forbidden":
                await transaction.connection.execute(statements.POISON, it.aggregate_id)
            raise RuntimeError("a defect")
        await transaction.connection.execute(
            statements.EFFECT, it.aggregate_id, it.version, it.id, it.partition, it.offset
        )
        if it.version % 3 == 1:
            transaction.emit(ThingAnsweredV1(thing_id=it.aggregate_id, of_version=it.version), version=1)

    def civil_now(self) -> datetime:
        """The town's time as the source's timers see it."""
        row = self.source.tables.get("civil_clock", {}).get(())
        now = self.source.clock()
        return now if row is None else row["civil_at"] + (now - row["machine_at"])


def _note_task(task: Any) -> None:
    process = CURRENT.get(None)
    if process is not None:
        process.tasks.append(task)


async def _copy_things(connection: Any, records: Sequence[Received[Any]]) -> None:
    newest = {it.aggregate_id: it.version for it in records}
    await connection.execute(statements.COPY, list(newest), list(newest.values()))


async def _read_owners(connection: Any, keys: Sequence[Key]) -> Mapping[Key, str]:
    municipality = {aggregate.partition("/")[2]: municipality for municipality, aggregate in keys}
    return {
        (municipality[owner], f"owner/{owner}"): OwnerStateV1(owner_id=owner, name=name, state_version=version).write()
        for owner, name, version in await connection.fetch(statements.OWNERS, list(municipality))
    }


async def _copy_owners(connection: Any, records: Sequence[Received[Any]]) -> None:
    for it in records:
        name, version = (None, it.version) if it.event is None else (it.event.name, it.event.state_version)
        await connection.execute(statements.COPY_OWNER, it.aggregate_id, name, version)


class _Settings(ServiceSettings):
    port: int = 0


_TOY = _Settings(installation=SETTINGS, database_password=SecretStr("none"))


def _service(name: str, **parts: Any) -> Service:
    return Service(name=name, title=name, settings=_TOY, migrations=Path(), **parts)


# What of the outside is replaced


class _Time:
    """``time`` and ``datetime`` of ``chassis.clocks``."""

    @staticmethod
    def monotonic() -> float:
        return _now[-1].loop.now if _now else time.monotonic()

    @staticmethod
    def now(zone: Any) -> datetime:
        return (BEGINNING + timedelta(seconds=_now[-1].loop.now)).astimezone(zone) if _now else datetime.now(UTC)


async def _cluster_id(_: object) -> str:
    broker = _now[-1].broker
    await broker.travel(CURRENT.get())
    if not broker.up:
        raise KafkaConnectionError("no broker")
    return broker.cluster_id


async def _fits(*_: object) -> None:
    """Whether topics fit the log is seen with a consumer of its own, on the real parts only."""
    await _cluster_id(None)


async def _committed(_: object, group: str) -> dict[TopicPartition, tuple[int, str]]:
    await _cluster_id(None)
    found = _now[-1].broker.groups.get(group)
    return {} if found is None else dict(found.committed)


async def _generations(_: object) -> dict[str, int]:
    await _cluster_id(None)
    return dict(_now[-1].broker.generations)


async def _delete_topics(_: object, names: Sequence[str]) -> None:
    await _cluster_id(None)
    for name in names:
        _now[-1].broker.delete(name)


async def _ensure_topics(_: object, topics: Sequence[TopicSpec]) -> None:
    await _cluster_id(None)
    for spec in topics:
        if spec.name not in _now[-1].broker.topics:
            _now[-1].broker.make(spec.name)


class _Administration:
    """``asyncpg`` of ``chassis.repair``."""

    @staticmethod
    async def connect(_: str, *, database: str) -> Session:
        world = _now[-1]
        return await Pool(world.source if database == "source" else world.sink, CURRENT.get()).take()


async def _partitions(_: object, topics: Sequence[str]) -> dict[str, int]:
    """As many as are wanted: the simulation's topics have fewer, for more of everything on each."""
    await _cluster_id(None)
    return {topic: PARTITIONS for topic in topics if topic in _now[-1].broker.topics}


async def _newest(_: object, names: Sequence[str]) -> list[Any]:
    await _cluster_id(None)
    newest = [log.records[-1] for name in names for log in _now[-1].broker.topics.get(name, ()) if log.records]
    return [found for record in newest if (found := fitting._identity(record)) is not None]


def _new_id() -> UUID:
    return _now[-1].new_id()


_REPLACED: list[tuple[Any, str, Any]] = [
    (clocks, "time", _Time),
    (clocks, "datetime", _Time),
    (relay_loop, "cluster_id", _cluster_id),
    (relay_loop, "misfit", _fits),
    (consumer_assignment, "cluster_id", _cluster_id),
    (consumer_assignment, "committed", _committed),
    (consumer_assignment, "generations", _generations),
    (relay_publisher, "AIOKafkaProducer", lambda **_: Producer(_now[-1].broker)),
    (consumer_loop, "Hosting", lambda _, **given: Hosting(_now[-1].broker, **given)),
    (fitting, "_partitions", _partitions),
    (fitting, "_newest", _newest),
    (repair, "asyncpg", _Administration),
    (repair, "cluster_id", _cluster_id),
    (repair, "committed", _committed),
    (repair, "generations", _generations),
    (repair, "delete_topics", _delete_topics),
    (repair, "ensure_topics", _ensure_topics),
    (acts, "new_id", _new_id),
    (transaction, "new_id", _new_id),
    (database, "new_id", _new_id),
    (dead_letters, "new_id", _new_id),
    # Shorter lists and longer idle waits: the same decisions with less of nothing in between.
    (relay_loop, "PAGE", 3),
    (relay_loop, "SHORTEST_POLL", 0.3),
    (relay_loop, "LONGEST_POLL", 6.0),
    (relay_loop, "CANDIDATE_POLL", 3.0),
    (consumer_loop, "WATCH_SECONDS", 5.0),
    (consumer_loop, "LOGS_EVERY", 6),
    (timers_role, "POLL_SIMULATED", 3.0),
    (consumer_batch, "FailureRatio", partial(FailureRatio, minimum=6)),
    (dead_letters, "HELD_LIMIT", 4),
]


@contextlib.contextmanager
def replaced() -> Iterator[None]:
    """The product talks to the simulated outside until the block ends."""
    before = [(where, name, getattr(where, name)) for where, name, _ in _REPLACED]
    configuration = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False
    )
    for where, name, stand_in in _REPLACED:
        setattr(where, name, stand_in)
    try:
        yield
    finally:
        for where, name, real in before:
            setattr(where, name, real)
        structlog.configure(**configuration)


@contextlib.contextmanager
def current(world: World) -> Iterator[None]:
    """The world the stand-ins belong to."""
    _now.append(world)
    try:
        yield
    finally:
        _now.pop()

"""Whether a service lives and is ready, as plain JSON without secrets.

``GET /health/live``   200 while every loop got on within the last minute or says why it waits; else 503: restart me
``GET /health/ready``  200 when requests can be answered; else 503. Its checks name what is missing, and what stands

Kafka does not decide readiness of a process that answers requests: commands are committed without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from chassis.auth import KeysUnavailable, TokenVerifier
from chassis.clocks import monotonic
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.fitness import database_problem, migration_problem, pooler_problem, topics_problem
from chassis.migrations import Migration, wanted_migrations
from chassis.service import ReadableFact, Service
from chassis.settings import InstallationSettings
from chassis.telemetry import exposition

STALLED_SECONDS = 60.0
"""A loop that did not get on for so long, and does not say why, is dead."""

_PROBE_SECONDS = 2.0
_KAFKA_FRESH_SECONDS = 5.0


class Check(BaseModel):
    """One thing that must be right. ``reason`` says what is wrong and what mends it."""

    name: str
    ok: bool
    reason: str | None = None


class Stop(BaseModel):
    """A consumer, partition or key that stands still until an operator acts; ``command`` is how."""

    scope: str
    topic: str | None = None
    partition: int | None = None
    reason: str
    command: str | None = None


class CivilTime(BaseModel):
    """The town's clock as this service knows it."""

    simulated: bool
    now: datetime | None = None


class Readiness(BaseModel):
    """``ready`` decides the status; a check that is not ok without making the service unready is told all the same."""

    service: str
    roles: list[str]
    ready: bool
    checks: list[Check]
    stops: list[Stop]
    civil_clock: CivilTime


class Liveness(BaseModel):
    """``loops``: seconds since each got on."""

    live: bool
    loops: dict[str, float]
    reasons: dict[str, str]


@dataclass(slots=True)
class WatchedLoop:
    """A loop of this process. ``progress`` is when it last got on, ``standing`` tells why the loop itself waits."""

    name: str
    progress: Callable[[], float]
    standing: Callable[[], str | None] = lambda: None
    _fault: str | None = None
    _failed_at: float = 0.0

    def fail(self, fault: str) -> None:
        """Its supervisor saw it fail; that is its reason until it gets on again."""
        self._fault, self._failed_at = fault, monotonic()

    @property
    def age(self) -> float:
        """Seconds since it got on."""
        return max(0.0, monotonic() - self.progress())

    @property
    def reason(self) -> str | None:
        """Why it waits, if it says so."""
        if self._fault is not None and self.progress() <= self._failed_at:
            return self._fault
        return self.standing()

    @property
    def stalled(self) -> bool:
        """Whether it neither gets on nor says why."""
        return self.age > STALLED_SECONDS and self.reason is None


@dataclass(slots=True)
class Health:
    """Watches one service in this process."""

    service: Service
    roles: Sequence[str]
    installation: InstallationSettings
    database: Database
    verifier: TokenVerifier | None = None
    worker: Database | None = None
    lag: Callable[[], Mapping[str, int] | None] = lambda: None
    """Records behind, by topic, where this process consumes and knows."""
    loops: list[WatchedLoop] = field(default_factory=list)
    wanted: Sequence[Migration] | None = None
    _migrated: bool = False
    _fit: bool = False
    _kafka_asked: float = float("-inf")
    _kafka: Check | None = None

    def watch(self, loop: WatchedLoop) -> WatchedLoop:
        """From now on this loop is part of liveness and readiness."""
        self.loops.append(loop)
        return loop

    def live(self) -> Liveness:
        """Asks nobody: a database that is down is no reason to restart this process."""
        return Liveness(
            live=not any(loop.stalled for loop in self.loops),
            loops={loop.name: round(loop.age, 1) for loop in self.loops},
            reasons={loop.name: loop.reason for loop in self.loops if loop.reason},
        )

    async def ready(self) -> Readiness:
        """Asks the database, the keys and Kafka, each within two seconds."""
        needed = [await self.check_database()]
        if needed[0].ok:
            needed.append(await self.check_migrations())
        if needed[-1].ok:
            needed.append(await self.check_fitness())
        told: list[Check] = []
        if self.verifier is not None:
            needed.append(await _check_keys(self.verifier))
        if self._speaks_to_kafka:
            (told if "api" in self.roles else needed).append(await self._check_kafka())
        told += self.loop_checks()
        usable = all(check.ok for check in needed)
        return Readiness(
            service=self.service.name,
            roles=list(self.roles),
            ready=usable and not any(loop.stalled for loop in self.loops),
            checks=[*needed, *told],
            stops=await self._stops() if usable else [],
            civil_clock=await self._civil_clock(usable),
        )

    def loop_checks(self) -> list[Check]:
        """Whether each loop of this process gets on."""
        return [
            Check(name=loop.name, ok=loop.reason is None and not loop.stalled, reason=loop.reason or _stalled(loop))
            for loop in self.loops
        ]

    async def standing_checks(self) -> list[Check]:
        """What of this process an administrator of a town should know: its loops, and Kafka where it is needed."""
        kafka = [await self._check_kafka()] if self._speaks_to_kafka else []
        return [*kafka, *self.loop_checks()]

    @property
    def _speaks_to_kafka(self) -> bool:
        return bool({"relay", "consumer"}.intersection(self.roles))

    async def check_database(self) -> Check:
        """Whether the database answers."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS), self.database.pool.acquire() as connection:
                await connection.fetchval("SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return Check(name="database", ok=False, reason=_database_reason(error, self.installation))
        return Check(name="database", ok=True)

    async def check_migrations(self) -> Check:
        """Whether everything this version wants has run; once it has, it is not asked again."""
        if self._migrated:
            return Check(name="migrations", ok=True)
        if self.wanted is None:
            self.wanted = wanted_migrations(self.service.name, self.service.migrations)
        try:
            async with asyncio.timeout(_PROBE_SECONDS), self.database.pool.acquire() as connection:
                done = {
                    row["name"]: row["checksum"] for row in await connection.fetch("SELECT * FROM schema_migrations")
                }
        except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
            done = {}
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return Check(name="migrations", ok=False, reason=_database_reason(error, self.installation))
        reason = migration_problem(self.service.name, done, self.wanted)
        self._migrated = reason is None
        return Check(name="migrations", ok=reason is None, reason=reason)

    async def check_fitness(self) -> Check:
        """Whether PostgreSQL keeps what it has committed, is no pooler, and tells our time; asked until it does."""
        if not self._fit:
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    async with self.database.pool.acquire() as connection:
                        reason = await database_problem(connection, self.installation)
                    if reason is None and self.worker is not None:
                        reason = await pooler_problem(self.worker)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                reason = _database_reason(error, self.installation)
            if reason is not None:
                return Check(name="fitness", ok=False, reason=reason)
            self._fit = True
        return Check(name="fitness", ok=True)

    async def check_topics(self, events: Sequence[type[ReadableFact]]) -> Check:
        """Whether the topics of these events are as declared."""
        try:
            reason = await topics_problem(self.installation, events)
        except (KafkaError, OSError, TimeoutError):
            reason = f"Kafka at {self.installation.kafka} does not answer"
        return Check(name="topics", ok=reason is None, reason=reason)

    async def _check_kafka(self) -> Check:
        if self._kafka is None or monotonic() - self._kafka_asked > _KAFKA_FRESH_SECONDS:
            self._kafka = await _reach_kafka(self.installation.kafka)
            self._kafka_asked = monotonic()
        return self._kafka

    async def _stops(self) -> list[Stop]:
        if self.worker is None:
            return []
        async with self.worker.scoped(ALL_MUNICIPALITIES, read_only=True) as connection:
            rows = await connection.fetch(
                "SELECT scope, topic, partition, reason, command FROM stops ORDER BY stopped_at"
            )
        return [
            Stop(
                scope=row["scope"],
                topic=row["topic"] or None,
                partition=row["partition"] if row["partition"] >= 0 else None,
                reason=row["reason"],
                command=row["command"] or None,
            )
            for row in rows
        ]

    async def _civil_clock(self, usable: bool) -> CivilTime:
        if not usable:
            return CivilTime(simulated=self.installation.simulated_clock)
        async with self.database.pool.acquire() as connection:
            clock = await self.database.civil_clock(connection)
        return CivilTime(simulated=clock.simulated is not None, now=clock.now())


def _stalled(loop: WatchedLoop) -> str | None:
    return f"it has not got on for {loop.age:.0f} s" if loop.stalled else None


def _database_reason(error: BaseException, installation: InstallationSettings) -> str:
    where = f"{installation.postgres_host}:{installation.postgres_port}"
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return "the database does not exist yet; run `taiwa migrate`"
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return f"PostgreSQL at {where} does not take this role and password; run `taiwa migrate` with the same secret"
    if isinstance(error, asyncpg.PostgresError):
        return f"PostgreSQL at {where} refuses ({error.sqlstate}, {type(error).__name__})"
    return f"PostgreSQL at {where} does not answer"


async def _check_keys(verifier: TokenVerifier) -> Check:
    try:
        await verifier.have_keys()
    except KeysUnavailable:
        return Check(name="keys", ok=False, reason="directory has not given its keys yet; is it running?")
    return Check(name="keys", ok=True)


async def _reach_kafka(servers: str) -> Check:
    """Whether one of the servers takes a connection; what the clients meet beyond that is in their loops' reasons."""
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError, ValueError):
            continue
        writer.close()
        return Check(name="kafka", ok=True)
    return Check(name="kafka", ok=False, reason=f"Kafka at {servers} does not answer; events wait in the event log")


def install(app: FastAPI, health: Health) -> None:
    """Add ``/health/live``, ``/health/ready`` and ``/metrics``; they are for operators and stand in no OpenAPI."""

    async def live() -> Response:
        return _answer(health.live(), health.live().live)

    async def ready() -> Response:
        readiness = await health.ready()
        return _answer(readiness, readiness.ready)

    async def metrics() -> Response:
        content, media_type = exposition()
        return Response(content, media_type=media_type)

    routes: dict[str, Callable[[], Awaitable[Response]]] = {
        "/health/live": live,
        "/health/ready": ready,
        "/metrics": metrics,
    }
    for path, endpoint in routes.items():
        app.add_api_route(path, endpoint, include_in_schema=False, response_model=None)


def _answer(model: BaseModel, good: bool) -> Response:
    return JSONResponse(model.model_dump(mode="json"), 200 if good else 503, {"Cache-Control": "no-store"})

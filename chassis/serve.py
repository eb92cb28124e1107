"""``taiwa serve SERVICE[:ROLE]…``: hosts any set of services and roles in this process until a signal says stop.

Roles: ``api`` answers HTTP, ``relay`` publishes the event log, ``consumer`` applies foreign facts and runs the
service's own loops, ``timers`` runs what is due. A service without a role has all of them.

Start: the port is taken at once, so that readiness can say what is still missing; the other roles begin when the
database answers and its migrations have run. Stop: no new requests, running ones finish, then consumer and loops,
timers, relay, connections; within eight seconds, whatever hangs is cut off (its transaction is rolled back and the
work is done by the next process).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, runtime_checkable

import asyncpg
import structlog
import uvicorn
from fastapi import FastAPI

from chassis import health, metrics, telemetry
from chassis.auth import JWKS_PATH, FetchKeys, TokenVerifier, keys_from
from chassis.baseline import Baseline
from chassis.clocks import monotonic
from chassis.consumer import Consumer
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.health import Health, WatchedLoop
from chassis.http import create_app
from chassis.http.operations import is_operated
from chassis.relay import Relay
from chassis.service import Loop, ReadableFact, Service
from chassis.settings import InstallationSettings
from chassis.timers import Timers

ROLES = ("api", "consumer", "relay", "timers")
STOP_SECONDS = {"requests": 3.0, "consumer": 2.0, "timers": 1.0, "relay": 1.0, "connections": 1.0}
"""Patience with each step of the stop, in this order; together eight seconds."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a faulted loop is begun again; doubled each time, back to the first once it ran for a minute."""

_CALM_SECONDS = 60.0
_GATE_SECONDS = 0.25
_TOPICS_SECONDS = 1.0

_log = structlog.get_logger("taiwa.serve")

Run = Callable[[asyncio.Event], Awaitable[None]]


@runtime_checkable
class Closing(Protocol):
    """A resource of a service that holds something open; it is closed when its process stops, after the loops."""

    async def close(self) -> None:
        """Give back what it holds."""


class ServeError(Exception):
    """Serving cannot begin: ``problem`` states the fact, ``mend`` what to do."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend


async def keep_running(service: str, loop: WatchedLoop, run: Run, stop: asyncio.Event) -> None:
    """Run a loop until ``stop``; one that faults is logged, shown by health and begun again after a growing pause."""
    pause = FIRST_PAUSE
    while not stop.is_set():
        began = monotonic()
        try:
            await run(stop)
            if stop.is_set():
                return
            loop.fail("it ended by itself")
            _log.error("loop.ended", service=service, loop=loop.name)
        except Exception as error:  # noqa: BLE001  whatever it is, the other loops go on and this one is tried again
            loop.fail(f"it failed ({type(error).__name__}) and is begun again")
            _log.error("loop.fault", service=service, loop=loop.name, exc_info=error)
        metrics.LOOP_FAULTS.labels(service, loop.name).inc()
        pause = FIRST_PAUSE if monotonic() - began > _CALM_SECONDS else pause
        await _wait(stop, pause)
        pause = min(pause * 2, LONGEST_PAUSE)


@dataclass(slots=True)
class _OwnLoop:
    """A service's own loop: one round after the other."""

    loop: Loop
    database: Database
    got_on: float = field(default_factory=monotonic)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            done = await self.loop.run(self.database)
            self.got_on = monotonic()
            if not done:
                await _wait(stop, self.loop.pause)


@dataclass(slots=True)
class _Gate:
    """Lets a loop begin once the topics it needs are as declared; until then ``reason`` tells what is wrong."""

    health: Health
    events: Sequence[type[ReadableFact]]
    loop: Run
    reason: str | None = None
    passed_at: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        while self.events and not stop.is_set():
            found = await self.health.check_topics(self.events)
            self.passed_at = monotonic()
            if found.reason is not None and found.reason != self.reason:
                _log.error("serve.topics_refused", service=self.health.service.name, reason=found.reason)
            self.reason = found.reason
            if found.ok:
                break
            await _wait(stop, _TOPICS_SECONDS)
        await self.loop(stop)


class Hosted:
    """One service's roles in this process."""

    def __init__(self, service: Service, roles: Collection[str], fetch_keys: FetchKeys | None = None) -> None:
        self.service = service
        self.roles = tuple(role for role in ROLES if role in roles)
        self.installation = service.settings.installation
        self._fetch_keys = fetch_keys or keys_from(f"{self.installation.directory_url.rstrip('/')}{JWKS_PATH}")
        self._stops = {step: asyncio.Event() for step in ("consumer", "timers", "relay")}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {step: [] for step in self._stops}
        self.beginning: asyncio.Task[None] | None = None
        self.app: FastAPI | None = None
        self._database: Database | None = None
        self._worker: Database | None = None
        self._health: Health | None = None

    @property
    def _loops(self) -> bool:
        """Whether anything runs here beside requests."""
        return set(self.roles) != {"api"}

    @property
    def database(self) -> Database:
        """The pool of the api role, or the worker's where role ``api`` is not hosted."""
        assert self._database is not None  # noqa: S101  set by open
        return self._database

    @property
    def worker(self) -> Database:
        """The pool of the worker role: for loops, and for what an administrator does through the API."""
        assert self._worker is not None  # noqa: S101  set by open where it is needed
        return self._worker

    @property
    def application(self) -> FastAPI:
        """The application of role ``api``."""
        assert self.app is not None  # noqa: S101  set by open
        return self.app

    @property
    def health(self) -> Health:
        """What this service's roles report."""
        assert self._health is not None  # noqa: S101  set by open
        return self._health

    async def open(self) -> None:
        """Make the pools (they connect when first used), the application and what watches them."""
        settings, name = self.service.settings, self.service.name
        password = settings.database_password.get_secret_value()
        if self._loops or is_operated(self.service):
            self._worker = await Database.connect(
                self.installation, name, "worker", password, settings.worker_connections
            )
        if "api" in self.roles:
            self._database = await Database.connect(self.installation, name, "api", password, settings.api_connections)
        else:
            self._database = self._worker
        verifier = TokenVerifier(self._fetch_keys) if "api" in self.roles else None
        self._health = Health(self.service, self.roles, self.installation, self.database, verifier, self._worker)
        if verifier is not None:
            self.app = create_app(self.service, self.database, verifier, self._health)
        elif settings.health_port is not None:
            self.app = FastAPI(title=f"taiwa {name}", openapi_url=None)
            health.install(self.app, self._health)

    @property
    def port(self) -> int:
        """Where the application listens."""
        settings = self.service.settings
        return settings.port if "api" in self.roles or settings.health_port is None else settings.health_port

    def begin(self) -> None:
        """Begin the roles beside ``api`` as soon as the database is ready for them."""
        if self._loops:
            self.beginning = asyncio.create_task(self._begin_when_ready())

    async def _begin_when_ready(self) -> None:
        said = ""
        while (reason := await self._not_ready()) is not None:
            if reason != said:
                _log.warning("serve.waits", service=self.service.name, reason=reason)
                said = reason
            await asyncio.sleep(_GATE_SECONDS)
        if "relay" in self.roles:
            wake = self.database.committed if "api" in self.roles else None
            relay = Relay(self.service, self.worker, wake, self.installation)
            gate = _Gate(self.health, self.service.emits, relay.run)
            watched = WatchedLoop(
                "relay", lambda: max(gate.passed_at, relay.progress()), lambda: gate.reason or relay.refusal
            )
            self._start("relay", watched, gate.run)
        if "consumer" in self.roles:
            baseline = Baseline(self.service, self.worker, self.installation)
            consumer = Consumer(self.service, self.worker, self.installation)
            self.health.lag = lambda: consumer.lag
            entry = _Gate(self.health, self.service.consumes, partial(baseline.run, consumer.run))
            watched = WatchedLoop(
                "consumer",
                lambda: max(entry.passed_at, consumer.progress()),
                lambda: entry.reason or consumer.standing(),
            )
            self._start("consumer", watched, entry.run)
            for each in self.service.loops:
                own = _OwnLoop(each, self.worker)
                # The default binds this round's loop, not the last one's.
                watched = WatchedLoop(each.name, lambda own=own: own.got_on)  # type: ignore[misc]  # mypy #12557
                self._start("consumer", watched, own.run)
        if "timers" in self.roles:
            timers = Timers(self.service, self.worker, self.installation)
            self._start("timers", WatchedLoop("timers", timers.progress, timers.standing), timers.run)
        _log.info("serve.began", service=self.service.name, roles=list(self.roles))

    async def _not_ready(self) -> str | None:
        for check in (self.health.check_database, self.health.check_migrations, self.health.check_fitness):
            found = await check()
            if not found.ok:
                return found.reason
        try:
            async with self.worker.scoped(ALL_MUNICIPALITIES) as connection:
                await connection.execute("SELECT make_event_log_partitions()")
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return f"the event log's partitions cannot be made ({type(error).__name__})"
        return None

    def _start(self, step: str, loop: WatchedLoop, run: Run) -> None:
        self.health.watch(loop)
        name = f"{self.service.name}:{loop.name}"
        self._tasks[step].append(
            asyncio.create_task(keep_running(self.service.name, loop, run, self._stops[step]), name=name)
        )

    async def stop(self, step: str) -> None:
        """Stop one role, within its patience."""
        if self.beginning is not None:
            self.beginning.cancel()
            await asyncio.wait([self.beginning])
            self.beginning = None
        self._stops[step].set()
        tasks = self._tasks[step]
        if not tasks:
            return
        _, hanging = await asyncio.wait(tasks, timeout=STOP_SECONDS[step])
        for task in hanging:
            _log.warning("serve.cut_off", task=task.get_name())
            task.cancel()
        if hanging:
            await asyncio.wait(hanging, timeout=0.5)
        tasks.clear()

    async def close(self) -> None:
        """Stop what still runs, in order, and close the connections."""
        for step in self._stops:
            await self.stop(step)
        for name, resource in self.service.resources.items():
            if isinstance(resource, Closing):
                await self._close(name, resource)
        for pool in {id(pool): pool for pool in (self._database, self._worker) if pool is not None}.values():
            await pool.close(STOP_SECONDS["connections"] / 2)

    async def _close(self, name: str, resource: Closing) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS["connections"] / 2):
                await resource.close()
        except Exception as error:  # noqa: BLE001  the rest is closed all the same
            _log.warning("serve.not_closed", service=self.service.name, resource=name, error=repr(error))


@contextlib.asynccontextmanager
async def hosting(
    service: Service, roles: Collection[str], fetch_keys: FetchKeys | None = None
) -> AsyncIterator[Hosted]:
    """Host a service's roles while the block runs; its application is not bound to a port."""
    hosted = Hosted(service, roles, fetch_keys)
    await hosted.open()
    hosted.begin()
    try:
        yield hosted
    finally:
        await hosted.close()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: one process hosts several."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int, service: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ServeError(
            f"{service} cannot listen on {host}:{port}: {error.strerror}.",
            f"Stop what listens there, or set TAIWA_{service.upper()}_PORT.",
        ) from error


async def _until_stopped(stop: asyncio.Event, beginnings: Sequence[asyncio.Task[None]]) -> None:
    """Wait for ``stop``; a service whose roles cannot be made is a defect that ends the process instead."""
    stopped = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {stopped, *beginnings}
    try:
        while not stopped.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        stopped.cancel()


async def _listening(hosted: Sequence[Hosted]) -> list[tuple[_Server, asyncio.Task[None]]]:
    sockets: list[tuple[FastAPI, socket.socket]] = []
    try:
        sockets.extend(
            (each.app, _listen(each.installation.bind_host, each.port, each.service.name))
            for each in hosted
            if each.app is not None
        )
    except ServeError:
        for _, bound in sockets:
            bound.close()
        raise
    servers = []
    for app, bound in sockets:
        config = uvicorn.Config(
            app,
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(STOP_SECONDS["requests"]),
        )
        server = _Server(config)
        servers.append((server, asyncio.create_task(server.serve(sockets=[bound]))))
    return servers


Asked = Sequence[tuple[Service, Collection[str]]]
"""Services with the roles of each that this process hosts."""


async def serve(asked: Asked, *, stop: asyncio.Event | None = None) -> None:
    """Host the services and roles until SIGTERM, SIGINT or ``stop``.

    Raises:
        ServeError: a port is taken.
        ValueError: the simulated clock is asked for in production.
    """
    hosted = [Hosted(service, roles) for service, roles in asked]
    installation: InstallationSettings = hosted[0].installation
    installation.refuse_simulation_in_production()
    telemetry.configure(installation, [each.service.name for each in hosted])
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    for each in hosted:
        await each.open()
    try:
        servers = await _listening(hosted)
        for each in hosted:
            each.begin()
        spare_what_stands()
        _log.info("serve.listens", services={each.service.name: each.port for each in hosted if each.app is not None})
        await _until_stopped(stop, [each.beginning for each in hosted if each.beginning is not None])
        _log.info("serve.stops")
        for server, _ in servers:
            server.should_exit = True
        if servers:
            await asyncio.wait([task for _, task in servers], timeout=STOP_SECONDS["requests"] + 0.5)
        for step in ("consumer", "timers", "relay"):
            await asyncio.gather(*(each.stop(step) for each in hosted))
    finally:
        await asyncio.gather(*(each.close() for each in hosted))
        telemetry.shut_down()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def spare_what_stands() -> None:
    """Let the garbage collector pass by what the start made: it stays, and walking all of it stops everything for long.

    What requests and records make is young when it goes; so many objects are let live between two looks at the young.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def run(asked: Asked) -> None:
    """Serve on uvloop; what ``taiwa serve`` calls.

    Raises:
        ServeError: see :func:`serve`.
    """
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(serve(asked))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  some platforms have none; asyncio's own loop does there
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()

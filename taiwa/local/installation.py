"""One embedded installation: which processes it has, on which ports, with which settings, started in which order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from chassis.installation import Tenancy, install
from chassis.settings import InstallationSettings
from taiwa.local import jars, nursery, ports
from taiwa.local.environment import DEFAULT_PORTS, Kind, base_url, variables
from taiwa.local.kafka import Kafka
from taiwa.local.nursery import Nursery
from taiwa.local.postgres import Postgres
from taiwa.local.state import State
from taiwa.local.supervisor import Child, Process, Supervisor
from taiwa.mendable import Mendable
from taiwa.progress import Progress
from taiwa.services import SERVICES, make_topics, migrations_of


def choose_ports(state: State, given: dict[str, int], *, free: bool) -> dict[str, int]:
    """Choose a port for every part: given now, else that of the last run, else a free or the default one.

    Raises:
        Mendable: an unknown name was given.
    """
    unknown = given.keys() - DEFAULT_PORTS.keys()
    if unknown:
        raise Mendable(
            f"There is no part named {', '.join(sorted(unknown))}.", f"Choose one of: {', '.join(DEFAULT_PORTS)}"
        )
    noted = state.notes().get("ports")
    earlier: dict[str, int] = noted if isinstance(noted, dict) else {}
    chosen = {name: given.get(name) or earlier.get(name) or default for name, default in DEFAULT_PORTS.items()}
    if free:
        for name in chosen.keys() - given.keys():
            if name not in earlier or not ports.is_free(chosen[name]):
                chosen[name] = ports.free_port()
    return chosen


@dataclass
class Installation:
    """The embedded product in one state folder.

    Args:
        state: its folder, claimed by :meth:`start`.
        chosen: a port for every name of :data:`DEFAULT_PORTS`.
        kind: ``demo`` has the simulated clock, ``production`` has not.
        progress: shows what happens.
    """

    state: State
    chosen: dict[str, int]
    kind: Kind
    progress: Progress
    postgres: Postgres = field(init=False)
    _nursery: Nursery | None = field(init=False, default=None)
    _checkpoint: asyncio.Task[None] | None = field(init=False, default=None)
    supervisor: Supervisor = field(init=False)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.state.root / "postgres", self.chosen["postgres"])
        self._nursery = Nursery() if nursery.AVAILABLE else None
        self.supervisor = Supervisor(self.state, self._show, self.chosen)
        self._logs = {name: (self.state.root / "logs" / f"{name}.log").open("w") for name in (*SERVICES, "mail")}

    @property
    def bootstrap(self) -> str:
        """Kafka's bootstrap servers."""
        return f"{ports.LOOPBACK}:{self.chosen['kafka']}"

    def base_url(self, service: str) -> str:
        """Where a service answers."""
        return base_url(self.chosen, service)

    def settings(self) -> InstallationSettings:
        """What all services share."""
        return InstallationSettings(
            environment=self.kind,
            postgres_port=self.chosen["postgres"],
            kafka=self.bootstrap,
            simulated_clock=self.kind == "demo",
            directory_url=self.base_url("directory"),
            log_format="text",
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of this installation."""
        # Variables of the person's shell must not steer it.
        own = {name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")}
        return own | variables(self.state, self.chosen, self.kind)

    async def start(self) -> None:
        """Start everything and return when every service does its work.

        Raises:
            Mendable: something on this machine stands in the way.
        """
        self.state.claim()
        self.state.require_space()
        for name, port in self.chosen.items():
            ports.require_free(port, name, f"--port {name}=")
        self.state.remember("ports", self.chosen)
        self.state.remember("kind", self.kind)
        await self.supervisor.open()
        if self._nursery is not None:
            self._nursery.warm()
        locked, folder = jars.locked(), jars.folder()
        missing = jars.missing(locked, folder)
        if missing:
            with self.progress.step("network", f"Apache Kafka fetched: {len(missing)} jars, once for this user"):
                await asyncio.to_thread(jars.fetch, locked, folder)
        classpath = await asyncio.to_thread(jars.fetch, locked, folder)
        kafka = Kafka(self.state.root / "kafka", self.chosen["kafka"], self.chosen["kafka-controller"], classpath)
        self._start_mail()
        await asyncio.gather(self._start_postgres(), self._start_kafka(kafka))
        with self.progress.step("services", f"Services: {', '.join(SERVICES)}"):
            if self._nursery is not None:
                await asyncio.to_thread(self._nursery.wait_warm)
            self.supervisor.start(*(self._service(name) for name in SERVICES))
            await self.supervisor.wait_ready(*SERVICES)

    async def stop(self) -> None:
        """Stop everything in order, within ten seconds."""
        if self._checkpoint is not None:
            self._checkpoint.cancel()
            await asyncio.wait([self._checkpoint])
        await self.supervisor.stop_all()
        if self._nursery is not None:
            self._nursery.close()
        for log in self._logs.values():
            log.close()

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _start_postgres(self) -> None:
        server = self.postgres
        with self.progress.step("postgres", "PostgreSQL 18"):
            await asyncio.to_thread(server.prepare)
            self.supervisor.start(
                Child(
                    "postgres",
                    server.spawn,
                    _in_thread(server.ready),
                    wave=3,
                    log_path=str(server.log),
                    stop_signal=signal.SIGINT,
                )
            )
            await self.supervisor.wait_ready("postgres")
        settings = self.settings()
        ran = []
        with self.progress.step("databases", "Databases and roles, migrated"):
            for name in SERVICES:
                password = self.state.secret(f"{name}.password").read_text()
                ran += await install(server.url, settings, Tenancy(name, password, migrations_of(name)))
        if ran:
            self._checkpoint = asyncio.create_task(_checkpoint(server.url))

    async def _start_kafka(self, kafka: Kafka) -> None:
        with self.progress.step("kafka", "Apache Kafka 4.4"):
            await asyncio.to_thread(kafka.prepare)
            self.supervisor.start(
                Child(
                    "kafka",
                    kafka.spawn,
                    _in_thread(kafka.ready),
                    wave=2,
                    log_path=str(kafka.log),
                )
            )
            await self.supervisor.wait_ready("kafka")
        with self.progress.step("topics", "Topics"):
            await make_topics(self.settings())

    def _start_mail(self) -> None:
        command = [
            sys.executable,
            "-m",
            "taiwa.local.mail",
            f"--smtp-port={self.chosen['smtp']}",
            f"--http-port={self.chosen['mail']}",
            f"--directory={self.state.root / 'mail'}",
        ]
        health = f"http://{ports.LOOPBACK}:{self.chosen['mail']}/health"
        self.supervisor.start(self._child("mail", lambda: self._popen(command), health, 2))

    def _service(self, name: str) -> Child:
        def spawn() -> Process:
            if self._nursery is not None:
                return self._nursery.spawn(["serve", name], self.environment())
            return self._popen([sys.executable, "-m", "taiwa", "serve", name])

        wave = 0 if name == "portal" else 1
        return self._child(name, spawn, f"{self.base_url(name)}/health/ready", wave)

    def _popen(self, command: list[str]) -> Process:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment(),
            start_new_session=True,
        )

    def _child(self, name: str, spawn: Callable[[], Process], health_url: str, wave: int) -> Child:
        async def ready() -> bool:
            try:
                async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
                    return (await client.get(health_url)).is_success
            except httpx.HTTPError:
                return False

        log_path = str(self.state.root / "logs" / f"{name}.log")
        return Child(name, spawn, ready, wave=wave, log_path=log_path)

    def _show(self, name: str, line: str) -> None:
        log = self._logs.get(name)
        if log is not None and not log.closed:
            log.write(line + "\n")
            log.flush()
        self.progress.line(name, line)


async def _checkpoint(url: str) -> None:
    """Sync new databases to the disk now: thousands of files, which an early Ctrl-C would otherwise wait for."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


def _in_thread(check: Callable[[], bool]) -> Callable[[], asyncio.Future[bool]]:
    def run() -> asyncio.Future[bool]:
        return asyncio.ensure_future(asyncio.to_thread(check))

    return run


def logs(state: State) -> Path:
    """Where the services' logs of the present run stand."""
    return state.root / "logs"

"""The ground of a run: own PostgreSQL and Kafka behind proxies, and the services as processes that may be killed.

The services reach both servers through proxies only (Kafka's advertised listener is the proxy); the harness itself
looks through doors of its own, so that a fault never blinds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from chassis.clocks import monotonic
from chassis.database import database_name
from chassis.installation import Tenancy, install
from chassis.settings import InstallationSettings
from chassis.testing import PASSWORD, Installation, eventually
from chassis.topics import TopicSpec, ensure_topics
from taiwa.local import jars, ports
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres
from tests.chaos.catalogue import make
from tests.chaos.checker import Restored
from tests.chaos.disks import small_disk
from tests.chaos.papers import TOPICS
from tests.chaos.proxy import Proxy
from tests.mutants import VARIABLE

ROOT = Path(__file__).parents[2]
SERVICES = ("clerk", "archive")

OFFSET_HISTORY = """
CREATE TABLE offset_history (
    id bigint GENERATED ALWAYS AS IDENTITY, noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    consumer text, topic text, partition int, log text, before bigint, after bigint
);
CREATE FUNCTION note_offset() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO offset_history (consumer, topic, partition, log, before, after)
    VALUES (NEW.consumer, NEW.topic, NEW.partition, NEW.cluster_id || '/' || NEW.generation,
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.next END, NEW.next);
    RETURN NULL;
END $$;
CREATE TRIGGER note_offset AFTER INSERT OR UPDATE OF next ON offsets FOR EACH ROW EXECUTE FUNCTION note_offset();
"""


class ProxiedKafka(Kafka):
    """A broker with two doors: clients are told the proxy's address, whoever uses ``direct`` is told that one."""

    advertised: int = 0
    direct: int = 0

    def _properties(self) -> str:
        own = f"PLAINTEXT://{self.bootstrap}"
        text = super()._properties()
        text = text.replace(f"listeners={own},", f"listeners={own},DIRECT://127.0.0.1:{self.direct},", 1)
        text = text.replace(
            f"advertised.listeners={own}\n",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.advertised},DIRECT://127.0.0.1:{self.direct}\n",
        )
        return text.replace("CONTROLLER:PLAINTEXT,", "CONTROLLER:PLAINTEXT,DIRECT:PLAINTEXT,") + (
            "inter.broker.listener.name=DIRECT\n"
        )


@dataclass
class Member:
    """One process of the installation."""

    name: str
    service: str
    roles: tuple[str, ...]
    given: dict[str, object] = field(default_factory=dict)
    """Settings of its own service beyond installation, password and port."""
    port: int = field(default_factory=ports.free_port)
    pid: int | None = None
    paused: bool = False
    expected: bool = False
    """Whether its end is the nemesis's doing."""
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def members() -> list[Member]:
    """Two replicas of everything that may have two, so that one takes over from the other."""
    return [
        Member("clerk-api", "clerk", ("api", "timers")),
        Member("clerk-a", "clerk", ("relay", "consumer")),
        Member("clerk-b", "clerk", ("relay", "timers")),
        Member("archive-a", "archive", ("relay", "consumer")),
        Member("archive-b", "archive", ("relay", "consumer")),
    ]


class Warm:
    """The process from which members are forked."""

    def __init__(self, mutant: str = "") -> None:
        self._mutant = mutant
        self._process: asyncio.subprocess.Process | None = None
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.codes: dict[int, int] = {}
        self.ended = asyncio.Event()

    async def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=environment
            | {VARIABLE: self._mutant, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "contracts")])},
        )
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "pid" in said:
                self._started.put_nowait(said["pid"])
            else:
                self.codes[said["ended"]] = said["code"]
                self.ended.set()

    async def fork(self, order: dict[str, Any]) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
            return await self._started.get()

    async def stop(self) -> None:
        """End it, and with it whatever it forked."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        await self._process.wait()
        if self._reading is not None:
            await self._reading


@dataclass
class Ground:
    """Everything a fault may touch."""

    folder: Path
    postgres: Postgres
    kafka: ProxiedKafka
    to_postgres: Proxy
    to_kafka: Proxy
    warm: Warm
    installation: Installation
    looking: InstallationSettings
    """Settings of the harness itself, past the proxies."""
    members: list[Member]
    began: float = field(default_factory=monotonic)
    unexplained: list[str] = field(default_factory=list)
    watching: asyncio.Task[None] | None = None
    small_disks: bool = False
    """Whether the servers' disks can be filled up."""
    hit: Counter[str] = field(default_factory=Counter)
    """How often somebody died or stood still at each named place, so that none is forgotten."""
    restores: list[Restored] = field(default_factory=list)
    """What the clerk's database lost by definition."""

    @property
    def admin_url(self) -> str:
        """The superuser's URL, past the proxy."""
        return self.postgres.url

    def seconds(self) -> float:
        """Since the run began."""
        return monotonic() - self.began

    async def administrator(self, service: str | None = None) -> asyncpg.Connection[asyncpg.Record]:
        """A superuser's connection past the proxy, to a service's database or to ``postgres``."""
        name = database_name(self.looking, service) if service else "postgres"
        return await asyncpg.connect(self.admin_url, database=name, timeout=10)

    @property
    def api(self) -> Member:
        return next(it for it in self.members if "api" in it.roles)

    def having(self, role: str, service: str | None = None) -> list[Member]:
        """Members that host a role."""
        return [it for it in self.members if role in it.roles and service in {None, it.service}]

    async def start_member(self, member: Member, failpoint: str = "", *, freeze: bool = False) -> None:
        """Fork it; it is not waited for. At ``failpoint`` it dies, or stands still until it is woken."""
        member.starts += 1
        member.expected = bool(failpoint)
        member.paused = False
        member.pid = await self.warm.fork(
            {
                "service": member.service,
                "roles": member.roles,
                "port": member.port,
                "given": member.given,
                "settings": self.installation.settings.model_dump_json(),
                "failpoint": failpoint,
                "freeze": freeze,
                "log": str(self.folder / f"{member.name}.log"),
            }
        )

    async def boot(self) -> None:
        """Start every member and wait until all say they are ready."""
        for member in self.members:
            await self.start_member(member)
        for member in self.members:
            await self.ready(member)

    async def kill_member(self, member: Member) -> None:
        """kill -9, whatever it does; returns when it is gone."""
        if member.pid is None:
            return
        member.expected = True
        member.signal(signal.SIGKILL)
        await self.gone(member)

    async def gone(self, member: Member, seconds: float = 10) -> bool:
        """Wait until a member's process is gone, if it goes."""
        pid, deadline = member.pid, monotonic() + seconds
        while pid is not None and pid not in self.warm.codes:
            if monotonic() > deadline:
                return False
            self.warm.ended.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.warm.ended.wait(), 0.5)
        if member.pid == pid:
            member.pid = None
        return True

    async def frozen(self, member: Member, seconds: float = 10) -> bool:
        """Wait until a member stands still, if it does."""
        deadline = monotonic() + seconds
        while member.pid is not None and monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(member.pid).status() == psutil.STATUS_STOPPED:
                    return True
            await asyncio.sleep(0.05)  # paced: a look at a process
        return False

    async def watch(self) -> None:
        """Start a member again that ended by itself; that it did is a finding."""
        while True:
            for member in self.members:
                if member.pid is not None and member.pid in self.warm.codes and not member.expected:
                    code = self.warm.codes[member.pid]
                    self.unexplained.append(f"{member.name} ended by itself with {code} at {self.seconds():.1f} s")
                    member.pid = None
                    await self.start_member(member)
            await asyncio.sleep(0.25)  # paced: a look at processes

    async def ready(self, member: Member, seconds: float = 60) -> None:
        """Wait until a member says it is ready.

        Raises:
            AssertionError: it does not; with what it last said, and the end of its log.
        """
        async with httpx.AsyncClient() as client:

            async def asked() -> bool:
                try:
                    answer = await client.get(f"{member.url}/health/ready", timeout=5)
                except httpx.HTTPError as error:
                    raise AssertionError(repr(error)) from error
                assert answer.status_code == 200, answer.text
                return True

            try:
                await eventually(asked, seconds, 0.1)
            except AssertionError as error:
                log = self.folder / f"{member.name}.log"
                tail = log.read_text(encoding="utf-8", errors="replace")[-3000:] if log.exists() else "no log"
                code = None if member.pid is None else self.warm.codes.get(member.pid)
                raise AssertionError(f"{member.name} is not ready: {error}\nexit code {code}\n{tail}") from error

    async def readiness(self, member: Member) -> dict[str, Any]:
        """What a member says of itself; empty when it does not answer."""
        async with httpx.AsyncClient() as client:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                found: dict[str, Any] = (await client.get(f"{member.url}/health/ready", timeout=3)).json()
                return found
        return {}


def crash_postgres(server: Postgres) -> None:
    """kill -9 for the whole cluster: its sessions are process groups of their own."""
    assert server.process is not None
    family = psutil.Process(server.process.pid)
    processes = [*family.children(recursive=True), family]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
    server.process.wait(10)


def crash_kafka(server: Kafka) -> None:
    """kill -9."""
    assert server.process is not None
    server.process.kill()
    server.process.wait(10)


async def _keys(installation: Installation) -> asyncio.Server:
    """The issuer of tokens: one endpoint that gives the public keys."""
    body = json.dumps(installation.jwks).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    answer = head % len(body) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _migrated(ground: Ground, topics: Sequence[TopicSpec]) -> None:
    for name in dict.fromkeys(member.service for member in ground.members):
        migrations = make(name, ground.looking, 0, api=True).migrations
        await install(ground.admin_url, ground.looking, Tenancy(name, PASSWORD, migrations))
        connection = await ground.administrator(name)
        try:
            await connection.execute(OFFSET_HISTORY)
        finally:
            await connection.close()
    await ensure_topics(ground.looking, topics)


@asynccontextmanager
async def ground(
    folder: Path,
    wanted: Sequence[Member] | None = None,
    *,
    topics: Sequence[TopicSpec] = TOPICS,
    mutant: str = "",
    small_disks: bool = False,
) -> AsyncIterator[Ground]:
    """Servers, proxies, topics and members (clerk and archive), all started; everything is killed at the end.

    ``mutant``: the mistake of :mod:`tests.mutants` that every member makes.
    """
    postgres = Postgres(folder / "postgres", ports.free_port(), durable=True)
    kafka = ProxiedKafka(
        folder / "kafka", ports.free_port(), ports.free_port(), jars.fetch(jars.locked(), jars.folder())
    )
    to_postgres, to_kafka, warm = Proxy(postgres.port), Proxy(kafka.port), Warm(mutant)
    await to_postgres.start()
    await to_kafka.start()
    kafka.advertised, kafka.direct = to_kafka.port, ports.free_port()
    settings = InstallationSettings(
        environment="test",
        prefix="chaos_",
        postgres_host="127.0.0.1",
        postgres_port=to_postgres.port,
        kafka=f"127.0.0.1:{to_kafka.port}",
        simulated_clock=True,
        log_format="text",
    )
    looking = settings.model_copy(update={"postgres_port": postgres.port, "kafka": f"127.0.0.1:{kafka.direct}"})
    installation = Installation(postgres.directory.as_posix(), settings)
    keys = await _keys(installation)
    issuer = f"http://127.0.0.1:{keys.sockets[0].getsockname()[1]}"
    installation.settings = settings.model_copy(update={"directory_url": issuer})
    it = Ground(
        folder,
        postgres,
        kafka,
        to_postgres,
        to_kafka,
        warm,
        installation,
        looking,
        list(wanted) if wanted is not None else members(),
        small_disks=small_disks,
    )
    disks = contextlib.ExitStack()
    try:
        if small_disks:
            for server in (postgres, kafka):
                disks.enter_context(small_disk(server.directory))
        await asyncio.gather(asyncio.to_thread(postgres.start), asyncio.to_thread(kafka.start), warm.start())
        installation.admin_url = postgres.url
        await _migrated(it, topics)
        await it.boot()
        it.watching = asyncio.create_task(it.watch())
        it.began = monotonic()
        yield it
    finally:
        if it.watching is not None:
            it.watching.cancel()
        await warm.stop()
        keys.close()
        await to_postgres.stop()
        await to_kafka.stop()
        if postgres.process is not None and postgres.process.poll() is None:
            await asyncio.to_thread(crash_postgres, postgres)
        if kafka.process is not None and kafka.process.poll() is None:
            await asyncio.to_thread(crash_kafka, kafka)
        disks.close()

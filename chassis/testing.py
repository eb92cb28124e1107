"""Runs a service in a test: in this process, on a real PostgreSQL and a real Kafka, alone in its own names.

    async def test_a_call_opens(installation: Installation) -> None:
        async with running(build, installation) as leaders:
            hr = leaders.client(leaders.caller("hr"))
            answer = await hr.post("/calls", json={"fiscal_year": 2026, "closes_on": "2026-04-20"})
            assert answer.status_code == 201
            await eventually(lambda: installation.facts_on("leaders.events"))

A database is a copy of a template that is migrated once per service and set of migrations; topics, groups and
databases bear a prefix of their own, so tests run beside each other in any order. ``fresh_installation`` makes one and
throws it away.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar, overload
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OKPKey
from opentelemetry.propagate import inject

from chassis.auth import ALGORITHM, AUDIENCE, ISSUER, JWKS_PATH, Caller
from chassis.clocks import machine_now, monotonic
from chassis.database import Database, database_name
from chassis.health import Health
from chassis.http.problems import IDEMPOTENCY_HEADER
from chassis.installation import Tenancy, install, make_database
from chassis.migrations import wanted_migrations
from chassis.serve import ROLES, hosting
from chassis.service import Service
from chassis.settings import InstallationSettings
from chassis.telemetry import remove_personal_data
from chassis.topics import TopicSpec, ensure_topics
from chassis.transaction import Fact, new_id

T = TypeVar("T")

MIDORI = "999997"
"""みどり町, the fictional town of tests and demo."""
OTHER_TOWN = "999989"
"""Another valid code of no real municipality."""
PASSWORD = "only-for-tests"  # noqa: S105  databases of tests hold nothing
ROLE_PREFIX = "taiwa_test_"

_TEMPLATE_LOCK = 0x74706C


class TestedFact(Fact, Protocol):
    """An event class, as far as putting it on its topic needs it."""

    STATE: ClassVar[bool]


@overload
async def eventually(check: Callable[[], Awaitable[T]], timeout: float = 30, pause: float = 0.02) -> T: ...  # noqa: ASYNC109  as below
@overload
async def eventually(check: Callable[[], T], timeout: float = 30, pause: float = 0.02) -> T: ...  # noqa: ASYNC109  as below
async def eventually(
    check: Callable[[], Any],
    timeout: float = 30,  # noqa: ASYNC109  seconds of patience, of a poll
    pause: float = 0.02,
) -> Any:
    """Ask again until ``check`` gives something true, and give it; an AssertionError counts as not yet.

    Raises:
        AssertionError: not within ``timeout`` seconds; the check's own error if it raised one, else its last answer.
    """
    deadline = monotonic() + timeout
    while True:
        failure: AssertionError | None = None
        answer: Any = None
        try:
            answer = check()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        if monotonic() > deadline:
            raise failure or AssertionError(f"not within {timeout} s; the last answer was {answer!r}")
        await asyncio.sleep(pause)


@dataclass(frozen=True, slots=True)
class FactOnTopic:
    """One record of a topic. ``value`` is ``None`` for a tombstone."""

    id: UUID
    type: str
    municipality: str
    aggregate: str
    version: int
    value: dict[str, Any] | None
    key: str
    headers: dict[str, str]
    partition: int
    offset: int


class Installation:
    """Names of its own on a shared PostgreSQL and Kafka, and the key that signs the tokens of its callers."""

    def __init__(self, admin_url: str, settings: InstallationSettings) -> None:
        self.admin_url = admin_url
        self.settings = settings
        self.key = OKPKey.generate_key("Ed25519", {"kid": f"test-{uuid4()}", "use": "sig", "alg": ALGORITHM})
        self._producer: AIOKafkaProducer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._topics: set[str] = set()

    @property
    def jwks(self) -> dict[str, object]:
        """The public keys, as directory would give them."""
        return {"keys": [self.key.as_dict(private=False)]}

    def token(
        self,
        person_id: UUID | None = None,
        roles: Iterable[str] = ("staff",),
        municipality: str = MIDORI,
        section_id: UUID | None = None,
        **claims: object,
    ) -> str:
        """A signed token, valid for ten minutes; ``claims`` overrides any of its claims."""
        now = int(machine_now().timestamp())
        content = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(person_id or new_id()),
            "municipality": municipality,
            "roles": sorted(roles),
            "section": str(section_id) if section_id else None,
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self.key.kid}, content, self.key, algorithms=[ALGORITHM])

    async def make_topics(self, topics: Mapping[str, bool]) -> None:
        """Make topics that are missing; ``topics`` says of each name (without prefix) whether it is compacted."""
        wanted = [TopicSpec(name, compacted) for name, compacted in topics.items() if name not in self._topics]
        if wanted:
            await ensure_topics(self.settings, wanted)
            self._topics.update(spec.name for spec in wanted)

    async def publish(
        self,
        event: TestedFact,
        version: int = 1,
        *,
        municipality: str = MIDORI,
        occurred_at: datetime | None = None,
        event_id: UUID | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> UUID:
        """Put a fact on its topic as its owner's relay would; ``headers`` overrides some (``None`` leaves one out)."""
        return await self._send(
            event.TOPIC,
            event.TYPE,
            event.aggregate(),
            event.write().encode(),
            version,
            compacted=event.STATE,
            municipality=municipality,
            occurred_at=occurred_at,
            event_id=event_id,
            headers=headers,
        )

    async def erase(self, state: type[TestedFact], aggregate: str, version: int, *, municipality: str = MIDORI) -> UUID:
        """Put a tombstone on a state topic: the state of ``aggregate`` was erased."""
        return await self._send(
            state.TOPIC, state.TYPE, aggregate, None, version, compacted=True, municipality=municipality
        )

    async def _send(
        self,
        topic: str,
        kind: str,
        aggregate: str,
        value: bytes | None,
        version: int,
        *,
        compacted: bool,
        municipality: str,
        occurred_at: datetime | None = None,
        event_id: UUID | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> UUID:
        await self.make_topics({topic: compacted})
        event_id = event_id or new_id()
        trace: dict[str, str] = {}
        inject(trace)
        attributes: dict[str, str | None] = {
            "ce_specversion": "1.0",
            "ce_id": str(event_id),
            "ce_type": kind,
            "ce_source": f"/taiwa/{kind.split('.')[1]}",
            "ce_subject": aggregate,
            "ce_time": (occurred_at or machine_now()).isoformat(),
            "ce_sequence": str(version),
            "ce_municipality": municipality,
            "ce_correlationid": str(new_id()),
            "content-type": "application/json",
            **trace,
            **(headers or {}),
        }
        await self.put(
            topic,
            f"{municipality}/{aggregate}".encode(),
            value,
            [(name, text.encode()) for name, text in attributes.items() if text is not None],
        )
        return event_id

    async def put(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> None:
        """Put a raw record on a topic (name without prefix), however broken."""
        await self.make_topics({topic: False})
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self.settings.kafka, acks="all", enable_idempotence=True
            )
            await self._producer.start()
        await self._producer.send_and_wait(f"{self.settings.prefix}{topic}", value, key=key, headers=list(headers))

    async def facts_on(self, topic: str, kind: str | None = None) -> list[FactOnTopic]:
        """What stands on a topic now (name without prefix), in order per partition; ``kind`` keeps one type only."""
        name = f"{self.settings.prefix}{topic}"
        # Asked first: a consumer waits 40 seconds for a topic that is not there.
        if name not in await (await self._administration()).list_topics():
            return []
        consumer = AIOKafkaConsumer(name, bootstrap_servers=self.settings.kafka, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = sorted(consumer.assignment())
            ends = await consumer.end_offsets(partitions)
            left = {partition for partition, end in ends.items() if end > 0}
            for partition in partitions:
                if partition in left:
                    consumer.seek(partition, 0)
                else:
                    consumer.pause(partition)
            facts: list[FactOnTopic] = []
            while left:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    facts += [_fact(record) for record in records if record.offset < ends[partition]]
                for partition in list(left):
                    if await consumer.position(partition) >= ends[partition]:
                        left.discard(partition)
                        consumer.pause(partition)
            facts.sort(key=lambda fact: (fact.partition, fact.offset))
            return [fact for fact in facts if kind is None or fact.type == kind]
        finally:
            await consumer.stop()

    async def close(self) -> None:
        """Forget the topics; databases are dropped by :func:`running`."""
        if self._producer is not None:
            await self._producer.stop()
        if not self._topics and self._admin is None:
            return
        admin = await self._administration()
        try:
            # By name: a broker that has served a thousand tests takes seconds to list what it has.
            await admin.delete_topics([f"{self.settings.prefix}{name}" for name in sorted(self._topics)])
        finally:
            await admin.close()

    async def _administration(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka)
            await self._admin.start()
        return self._admin


def _fact(record: Any) -> FactOnTopic:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    value = json.loads(record.value) if record.value is not None else None
    return FactOnTopic(
        id=UUID(headers["ce_id"]),
        type=headers["ce_type"],
        municipality=headers["ce_municipality"],
        aggregate=headers["ce_subject"],
        version=int(headers["ce_sequence"]),
        value=value,
        key=(record.key or b"").decode(errors="replace"),
        headers=headers,
        partition=record.partition,
        offset=record.offset,
    )


def log_plainly() -> None:
    """Log to what pytest captures, without the values of local variables: rendering them takes seconds a fault."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            remove_personal_data,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        cache_logger_on_first_use=False,
    )


@asynccontextmanager
async def fresh_installation(admin_url: str, kafka: str) -> AsyncIterator[Installation]:
    """An installation with names of its own; its topics are deleted at the end."""
    parts = urlsplit(admin_url)
    settings = InstallationSettings(
        environment="test",
        prefix=f"t{uuid4().hex[:10]}_",
        role_prefix=ROLE_PREFIX,
        postgres_host=parts.hostname or "127.0.0.1",
        postgres_port=parts.port or 5432,
        kafka=kafka,
        simulated_clock=True,
        log_format="text",
    )
    log_plainly()
    installation = Installation(admin_url, settings)
    try:
        yield installation
    finally:
        await installation.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs in this process."""

    service: Service
    installation: Installation
    app: FastAPI
    database: Database
    worker: Database
    health: Health
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def caller(
        self,
        *roles: str,
        municipality: str = MIDORI,
        person_id: UUID | None = None,
        section_id: UUID | None = None,
    ) -> Caller:
        """Somebody with these roles (and ``staff``, as everybody has)."""
        return Caller(municipality, person_id or new_id(), frozenset({"staff", *roles}), section_id)

    def token(
        self,
        person_id: UUID | None = None,
        roles: Iterable[str] = ("staff",),
        municipality: str = MIDORI,
        section_id: UUID | None = None,
        **claims: object,
    ) -> str:
        """See :meth:`Installation.token`."""
        return self.installation.token(person_id, roles, municipality, section_id, **claims)

    def client(
        self,
        caller: Caller | None = None,
        *,
        language: str = "ja",
        token: str | None = None,
        faults_raise: bool = True,
    ) -> httpx.AsyncClient:
        """A client of the service's API that bears the caller's token (none: nobody is logged in).

        Every command gets a fresh Idempotency-Key unless the test gives one; the key ``""`` leaves the header out.
        ``faults_raise``: a defect of the service raises in the test instead of being answered 500.
        """
        headers = {"Accept-Language": language}
        if caller is not None:
            token = self.token(caller.person_id, caller.roles, caller.municipality, caller.section_id)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=faults_raise),
            base_url=f"http://{self.service.name}.test",
            headers=headers,
            event_hooks={"request": [_give_key]},
            timeout=30,
        )
        self.clients.append(client)
        return client


async def _give_key(request: httpx.Request) -> None:
    if request.headers.get(IDEMPOTENCY_HEADER) == "":
        del request.headers[IDEMPOTENCY_HEADER]
    elif request.method not in {"GET", "HEAD", "OPTIONS"}:
        request.headers.setdefault(IDEMPOTENCY_HEADER, str(uuid4()))


async def set_civil_clock(it: Running, civil_at: datetime) -> None:
    """Put the town's clock, as this service knows it, to ``civil_at``; it runs on from there."""
    async with it.worker.scoped("*") as connection:
        await connection.execute(
            """
            INSERT INTO civil_clock (civil_at, machine_at) VALUES ($1, $2)
            ON CONFLICT (singleton) DO UPDATE SET civil_at = excluded.civil_at, machine_at = excluded.machine_at
            """,
            civil_at,
            machine_now(),
        )


async def make_test_database(installation: Installation, service: Service) -> None:
    """Copy the service's migrated template; made by whoever needs it first."""
    wanted = wanted_migrations(service.name, service.migrations)
    # The month is part of the name because the event log's partitions are made ahead of the day of the migration.
    digest = hashlib.sha256(
        "".join([f"{machine_now():%Y%m}", *(f"{each.name} {each.checksum}\n" for each in wanted)]).encode()
    ).hexdigest()[:12]
    template = f"taiwa_template_{service.name}_{digest}"
    admin = await asyncpg.connect(installation.admin_url)
    try:
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", template):
            await admin.execute("SELECT pg_advisory_lock($1, hashtext($2))", _TEMPLATE_LOCK, template)
            try:
                await _make_template(admin, installation, service, template, digest)
            finally:
                await admin.execute("SELECT pg_advisory_unlock($1, hashtext($2))", _TEMPLATE_LOCK, template)
        await make_database(admin, installation.settings, service.name, template=template)
    finally:
        await admin.close()


async def _make_template(
    admin: asyncpg.Connection[asyncpg.Record], installation: Installation, service: Service, name: str, digest: str
) -> None:
    if await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        return
    making = installation.settings.model_copy(update={"prefix": f"taiwa_making_{digest}_"})
    draft = database_name(making, service.name)
    await admin.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
    await install(installation.admin_url, making, Tenancy(service.name, PASSWORD, service.migrations))
    await admin.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')


async def drop_test_database(installation: Installation, service: Service) -> None:
    """Drop it, whoever is still connected."""
    admin = await asyncpg.connect(installation.admin_url)
    try:
        name = database_name(installation.settings, service.name)
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()


def build_for(
    build: Callable[..., Service], installation: Installation, settings: Mapping[str, object] | None = None
) -> Service:
    """Build a service with settings for this installation; its module states its settings class as ``SETTINGS``."""
    settings_class: Any = sys.modules[build.__module__].__dict__["SETTINGS"]
    given = {"installation": installation.settings, "database_password": PASSWORD, "api_connections": 5}
    return build(settings_class(**given, **(settings or {})))


@asynccontextmanager
async def running(
    build: Callable[..., Service],
    installation: Installation,
    *,
    roles: Sequence[str] = ROLES,
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[Running]:
    """Run a service's roles in this process until the block ends; then its database is dropped.

    ``settings`` are the service's own settings beyond installation and password. Role ``api`` is always there.
    """
    service = build_for(build, installation, settings)
    await make_test_database(installation, service)
    it: Running | None = None
    try:
        if set(roles) != {"api"}:
            await installation.make_topics({event.TOPIC: event.STATE for event in (*service.emits, *service.consumes)})
        async with (
            hosting(service, {"api", *roles}, _keys(installation, lambda: hosted.application)) as hosted,
            _worker_of(installation, service) as worker,
        ):
            it = Running(service, installation, hosted.application, hosted.database, worker, hosted.health)
            yield it
    finally:
        for client in it.clients if it else ():
            await client.aclose()
        await drop_test_database(installation, service)


@asynccontextmanager
async def _worker_of(installation: Installation, service: Service) -> AsyncIterator[Database]:
    """The test's own connections as the worker role, beside those of the service's loops."""
    worker = await Database.connect(installation.settings, service.name, "worker", PASSWORD, 5)
    try:
        yield worker
    finally:
        await worker.close()


def _keys(installation: Installation, app: Callable[[], FastAPI]) -> Callable[[], Awaitable[dict[str, object]]]:
    """The test's key and, where the service issues tokens itself, its keys too."""

    async def fetch() -> dict[str, object]:
        own: list[object] = []
        if JWKS_PATH in app().openapi()["paths"]:
            transport = httpx.ASGITransport(app())
            async with httpx.AsyncClient(transport=transport, base_url="http://issuer.test") as client:
                own = (await client.get(JWKS_PATH)).json()["keys"]
        return {"keys": [installation.key.as_dict(private=False), *own]}

    return fetch

"""What a service refuses to begin on, each with the sentence that mends it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from chassis.clocks import machine_now
from chassis.database import Database, database_name
from chassis.fitness import database_problem, forgetful, migration_problem, pooler_problem
from chassis.health import Health
from chassis.kafka import admin_client
from chassis.migrations import Migration
from chassis.relay.publisher import ACKNOWLEDGEMENT, Publisher
from chassis.testing import PASSWORD, Installation, Running, eventually, running
from chassis.topics import TopicSpec, verify_topics, wanted_config
from tests.integration.chassis import archive

SETTINGS = archive.SETTINGS


@asynccontextmanager
async def session(installation: Installation, **settings: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(installation.admin_url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_session_that_does_not_wait_for_the_disk_is_refused(installation: Installation) -> None:
    async with session(installation, synchronous_commit="off") as connection:
        problem = await database_problem(connection, installation.settings)
    assert problem is not None
    assert problem.startswith("synchronous_commit is off")
    assert "ALTER ROLE" in problem
    async with session(installation, synchronous_commit="on") as connection:
        assert await database_problem(connection, installation.settings) is None


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_postgresql_that_a_power_cut_destroys_is_refused_in_production(setting: str) -> None:
    found = {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on", setting: "off"}
    problem = forgetful(found, production=True)
    assert problem is not None
    assert f"set {setting} = on" in problem
    assert forgetful(found, production=False) is None


@pytest.mark.parametrize(("hours", "word"), [(-1, "ahead of"), (1, "behind")])
async def test_clocks_that_differ_are_refused(installation: Installation, hours: int, word: str) -> None:
    async with session(installation) as connection:
        problem = await database_problem(
            connection, installation.settings, now=lambda: machine_now() + timedelta(hours=hours)
        )
    assert problem is not None
    assert word in problem
    assert "synchronise both" in problem


def test_a_database_of_a_newer_or_another_version_is_refused() -> None:
    wanted = [Migration("chassis/0001_a.sql", "SELECT 1"), Migration("archive/0001_b.sql", "SELECT 2")]
    ran = {it.name: it.checksum for it in wanted}
    assert migration_problem("archive", ran, wanted) is None
    newer = migration_problem("archive", {**ran, "archive/0002_c.sql": "?"}, wanted)
    assert newer == "the database is newer than this version (it ran archive/0002_c.sql); start the newer version"
    older = migration_problem("archive", {"chassis/0001_a.sql": wanted[0].checksum}, wanted)
    assert older == "archive/0001_b.sql has not run (of 1); run `taiwa migrate archive`"
    other = migration_problem("archive", {**ran, "archive/0001_b.sql": "?"}, wanted)
    assert other is not None
    assert "was changed after it ran" in other


async def test_a_service_does_not_begin_in_a_database_of_a_newer_version(installation: Installation) -> None:
    async with running(archive.build, installation, roles=("api",)) as it:
        name = database_name(installation.settings, it.service.name)
        connection = await asyncpg.connect(installation.admin_url, database=name)
        try:
            await connection.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('archive/9999_x.sql', '')")
        finally:
            await connection.close()
        fresh = Health(it.service, ("api",), installation.settings, it.database)
        found = await fresh.check_migrations()
        assert not found.ok
        assert "start the newer version" in (found.reason or "")


@pytest.mark.parametrize("given", [{"acks": 1}, {"acks": "all", "enable_idempotence": False}, {}])
async def test_a_producer_that_does_not_wait_for_every_replica_is_refused(
    installation: Installation, given: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match='acks="all" and enable_idempotence=True'):
        Publisher(installation.settings, "relay", acknowledgement=given)
    await Publisher(installation.settings, "relay", acknowledgement=ACKNOWLEDGEMENT).close()


async def test_a_publisher_that_is_closed_at_once_raises_nothing(installation: Installation) -> None:
    """Its sender was not under way yet; a stop in that moment broke off what came after it."""
    publisher = Publisher(installation.settings, "relay")
    await publisher.start()
    await publisher.close()
    await publisher.close()


async def make_topic(installation: Installation, name: str, partitions: int, **config: str) -> None:
    await installation.facts_on(name)  # so that the topic is deleted at the end
    async with admin_client(installation.settings) as admin:
        topic = f"{installation.settings.prefix}{name}"
        await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config)])

        async def shown() -> bool:
            answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            found = {entry[0]: entry[1] for entry in answer[0].resources[0][4]}
            return all(found.get(setting) == value for setting, value in config.items())

        await eventually(shown, timeout=60)


async def test_topics_that_were_made_by_the_broker_or_by_hand_are_refused_one_by_one(
    installation: Installation,
) -> None:
    await make_topic(installation, "auto.events", 1)
    await make_topic(installation, "finite.events", 12, **{"retention.ms": "604800000"})
    specs = [TopicSpec("auto.events"), TopicSpec("finite.events"), TopicSpec("missing.events")]
    found = "\n".join(await verify_topics(installation.settings, specs))
    assert "auto.events has 1 partitions instead of 12" in found
    assert "run: taiwa republish auto" in found
    assert "finite.events: retention.ms is 604800000; set -1" in found
    assert "missing.events is missing; run: taiwa topics" in found


async def test_a_relay_waits_for_its_topic_and_begins_by_itself_once_it_is_mended(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic keeps its records for a week only: requests are answered, events wait in the log."""

    async def made_already(self: Installation, topics: object) -> None:
        del self, topics

    topics = {event.TOPIC for event in archive.build(SETTINGS(**settings_of(installation))).emits}
    for topic in topics:
        for_a_week = wanted_config(TopicSpec(topic)) | {"retention.ms": "604800000"}
        await make_topic(installation, topic, 12, **for_a_week)
    monkeypatch.setattr(Installation, "make_topics", made_already)
    async with running(archive.build, installation, roles=("api", "relay")) as it:

        async def refused() -> bool:
            found = {each["name"]: each for each in (await it.client().get("/health/ready")).json()["checks"]}
            return "retention.ms is 604800000; set -1" in (found.get("relay", {}).get("reason") or "")

        await eventually(refused, timeout=60)
        async with admin_client(installation.settings) as admin:
            for topic in topics:
                name = f"{installation.settings.prefix}{topic}"
                wanted = wanted_config(TopicSpec(topic))
                await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, wanted)])

        async def begun() -> bool:
            found = {each["name"]: each for each in (await it.client().get("/health/ready")).json()["checks"]}
            return bool(found.get("relay", {}).get("ok"))

        await eventually(begun, timeout=60)


def settings_of(installation: Installation) -> dict[str, Any]:
    return {"installation": installation.settings, "database_password": PASSWORD}


async def test_sessions_that_a_pooler_shares_are_refused(installation: Installation) -> None:
    async with running(archive.build, installation, roles=("api",)) as it, pooler(it) as port:
        settings = installation.settings.model_copy(update={"postgres_host": "127.0.0.1", "postgres_port": port})
        for where, refused in ((installation.settings, False), (settings, True)):
            database = await Database.connect(where, it.service.name, "worker", PASSWORD, 2)
            try:
                problem = await pooler_problem(database)
            finally:
                await database.close(1)
            assert (problem is not None) is refused
        assert problem is not None
        assert "session mode" in problem


@dataclass
class Server:
    """One connection of the pooler to PostgreSQL."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass
class Pooler:
    """The smallest transaction pooler: a client has a connection of PostgreSQL until its transaction ends."""

    host: str
    port: int
    idle: list[Server] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first word to its last."""
        mine: Server | None = None
        answers: asyncio.Task[None] | None = None
        try:
            self.idle.append(await self._log_in(reader, writer))
            while True:
                kind, body = await _message(reader)
                if kind == b"X":
                    return
                if answers is None or answers.done():
                    mine = self.idle.pop()
                    answers = asyncio.create_task(self._answer(mine, writer))
                assert mine is not None
                mine.writer.write(_packed(kind, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, server: Server, writer: asyncio.StreamWriter) -> None:
        """Pass answers on until the transaction has ended; then anybody may have the connection."""
        while True:
            kind, body = await _message(server.reader)
            if (kind, body) == (b"Z", b"I"):
                self.idle.append(server)
            writer.write(_packed(kind, body))
            if (kind, body) == (b"Z", b"I"):
                return

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Server:
        """A new connection of PostgreSQL, with this client's name and password."""
        server = Server(*await asyncio.open_connection(self.host, self.port))
        server.writer.write(await _hello(reader, writer))
        while True:
            kind, body = await _message(server.reader)
            writer.write(_packed(kind, body))
            if kind == b"Z":
                return server
            if kind == b"R" and struct.unpack("!I", body[:4])[0] in ASKS_BACK:
                server.writer.write(_packed(*await _message(reader)))


ASKS_BACK = {3, 5, 10, 11}
"""Kinds of authentication messages that want an answer: passwords, and two of SASL's three."""

TLS_REQUEST = 80877103


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        if struct.unpack("!I", body[:4])[0] != TLS_REQUEST:
            return struct.pack("!I", length) + body
        writer.write(b"N")


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)


@asynccontextmanager
async def pooler(it: Running) -> AsyncIterator[int]:
    """A pooler before PostgreSQL; gives its port."""
    settings = it.installation.settings
    pool = Pooler(settings.postgres_host, settings.postgres_port)
    server = await asyncio.start_server(pool.serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in pool.idle:
            each.writer.close()

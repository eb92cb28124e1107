"""A database is restored, from an earlier time or into another PostgreSQL: it is noticed, and one command mends it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from chassis.database import Database, database_name
from chassis.installation import Tenancy, make_database, make_roles
from chassis.operations.acts import Operator
from chassis.rebuild import rebuild
from chassis.relay import Relay
from chassis.repair import relay_rebase
from chassis.restored import publish_again, would_publish_again
from chassis.testing import PASSWORD, Installation
from taiwa.local import ports
from taiwa.local.postgres import Postgres, binaries
from tests.integration.messaging.services import TOPICS, Toy, sink_service, source_service, toy, until

AT_NIGHT = Operator("operator", "花")
SOURCE_TOPICS = [it for it in TOPICS if it.name.startswith("source.")]


async def applied(sink: Toy, thing: str, count: int) -> list[int] | None:
    found = [
        it["version"] for it in await sink.rows("SELECT version FROM effects WHERE thing_id = $1 ORDER BY id", thing)
    ]
    return found if len(found) >= count else None


async def refused(relay: Relay, command: str) -> bool:
    return relay.refusal is not None and relay.refusal.endswith(command)


@asynccontextmanager
async def superuser(installation: Installation) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(installation.admin_url)
    try:
        yield connection
    finally:
        await connection.close()


async def copy_database(installation: Installation, old: str, new: str) -> None:
    """What a snapshot of the disk, or a restore into the same cluster, gives: nothing but the rows tells of it."""
    async with superuser(installation) as connection:
        await connection.execute(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", old
        )
        await connection.execute(f'CREATE DATABASE "{new}" TEMPLATE "{old}" STRATEGY file_copy')


async def test_a_log_from_yesterday_is_refused_and_after_republish_what_is_decided_anew_is_applied(
    installation: Installation,
) -> None:
    """Two facts were published after the backup: they are told by name, and their versions are given anew."""
    settings = installation.settings
    live, backup = database_name(settings, "source"), f"{database_name(settings, 'source')}_backup"
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        await source.make("a", 1, size=1)
        await until(lambda: applied(sink, "a", 1))
        await source.stop()
        await copy_database(installation, live, backup)
        source.relay()
        await source.make("a", 2, size=2)
        await source.make("gone", 1, size=1)
        await until(lambda: applied(sink, "a", 2))
        await until(lambda: applied(sink, "gone", 1))
        await source.stop()
        await copy_database(installation, backup, live)

        relay = source.relay()
        await until(lambda: refused(relay, "run: taiwa republish source"), 30)
        await source.make("a", 2, size=22)  # decided anew, before anybody mends
        told = await would_publish_again(installation.admin_url, settings, "source", SOURCE_TOPICS)
        assert [(it.aggregate, it.version) for it in told.lost] == [("thing/a", 2), ("thing/gone", 1)]
        done = await publish_again(
            installation.admin_url, settings, "source", SOURCE_TOPICS, ["sink"], by=AT_NIGHT, reason="restored"
        )
        assert (done.events, done.lost, done.went_back) == (2, told.lost, {"sink": 2})
        assert await until(lambda: applied(sink, "a", 3), 60) == [1, 2, 2]
        await source.make("gone", 1, size=7)
        assert await until(lambda: applied(sink, "gone", 2)) == [1, 1]
        assert await sink.rows("SELECT * FROM dead_letters WHERE closed_at IS NULL") == []
        await rebuild(installation.admin_url, sink.service, "sink.copies")
        copies = await sink.rows("SELECT thing_id, size, version FROM copies ORDER BY thing_id")
        assert [tuple(it.values()) for it in copies] == [("a", 22, 2), ("gone", 7, 1)]
        acts = await source.rows("SELECT act, operator, reason FROM operator_acts")
        assert acts[0] == {
            "act": "republished",
            "operator": "花",
            "reason": "restored; 2 published facts are not in the log",
        }
        async with superuser(installation) as connection:
            await connection.execute(f'DROP DATABASE "{backup}" WITH (FORCE)')


@pytest.fixture(scope="module")
def another_postgres(server_folder: Callable[[str], Path]) -> Iterator[Postgres]:
    """A PostgreSQL in which nothing has happened yet: its transaction ids are low."""
    server = Postgres(server_folder("postgres"), ports.free_port(), durable=False)
    server.start()
    yield server
    server.stop()


def dump_and_restore(url: str, name: str, other: Postgres) -> None:
    """What ``docs/operations.md`` says: pg_dump of one server into another."""
    environment = {**os.environ, "PGPASSWORD": other.password}
    dump = subprocess.run(
        [str(binaries() / "pg_dump"), "--format=custom", f"--dbname={url.rpartition('/')[0]}/{name}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    subprocess.run(
        [str(binaries() / "pg_restore"), "--exit-on-error", f"--dbname={other.url.rpartition('/')[0]}/{name}"],
        check=True,
        input=dump.stdout,
        env=environment,
        timeout=60,
    )


async def test_a_dump_in_another_postgresql_is_refused_and_goes_on_after_a_rebase(
    installation: Installation, another_postgres: Postgres
) -> None:
    """A committed fact that was not published before the dump is published after it, and none before it again."""
    name = database_name(installation.settings, "source")
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        await source.make("a", 1)
        await until(lambda: applied(sink, "a", 1))
        await source.stop()
        await source.make("a", 2)

        settings = installation.settings.model_copy(update={"postgres_port": another_postgres.port})
        moved = Installation(another_postgres.url, settings)
        admin = await asyncpg.connect(another_postgres.url)
        try:
            await make_roles(admin, settings, Tenancy("source", PASSWORD, source.service.migrations))
            await make_database(admin, settings, "source")
        finally:
            await admin.close()
        dump_and_restore(installation.admin_url, name, another_postgres)

        async with moved_toy(moved) as elsewhere:
            relay = elsewhere.relay()
            await until(lambda: refused(relay, "run: taiwa relay rebase"), 30)
            assert await relay_rebase(moved.admin_url, settings, "source") >= 1
            assert await until(lambda: applied(sink, "a", 2), 30) == [1, 2]
            await elsewhere.make("a", 3)
            assert await until(lambda: applied(sink, "a", 3)) == [1, 2, 3]
            assert await sink.rows("SELECT * FROM dead_letters") == []


@asynccontextmanager
async def moved_toy(moved: Installation) -> AsyncIterator[Toy]:
    """The source on the other server, with the database that was restored there."""
    service = source_service(moved)
    api = await Database.connect(moved.settings, "source", "api", PASSWORD, 4)
    worker = await Database.connect(moved.settings, "source", "worker", PASSWORD, 4)
    it = Toy(service, moved, api, worker)
    try:
        yield it
    finally:
        await it.stop()
        await api.close()
        await worker.close()

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from chassis.database import Database, database_name, role_name
from chassis.installation import Tenancy, install
from chassis.migrations import MigrationError, migrate, migrations_of, pending, wanted_migrations
from chassis.testing import MIDORI, PASSWORD, Installation

SERVICE = "ledger"
NOTES = "CREATE TABLE notes (municipality text NOT NULL PRIMARY KEY); SELECT tenant_table('notes');"


@pytest.fixture
async def files(tmp_path: Path, installation: Installation) -> AsyncIterator[Path]:
    """A folder of migrations; the database they are run in is dropped."""
    (tmp_path / "0001_notes.sql").write_text(NOTES)
    yield tmp_path
    admin = await asyncpg.connect(installation.admin_url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{database_name(installation.settings, SERVICE)}" WITH (FORCE)')
    await admin.close()


async def installed(installation: Installation, files: Path) -> list[str]:
    return await install(installation.admin_url, installation.settings, Tenancy(SERVICE, PASSWORD, files))


@asynccontextmanager
async def connected(installation: Installation) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    name = database_name(installation.settings, SERVICE)
    connection = await asyncpg.connect(installation.admin_url, database=name)
    try:
        yield connection
    finally:
        await connection.close()


async def tables(installation: Installation) -> set[str]:
    async with connected(installation) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_migrations_run_once_and_in_order(installation: Installation, files: Path) -> None:
    ran = await installed(installation, files)
    assert ran == [each.name for each in wanted_migrations(SERVICE, files)]
    assert ran[0].startswith("chassis/")
    assert ran[-1] == "ledger/0001_notes.sql"
    assert await installed(installation, files) == []


async def test_several_installers_at_once_do_no_harm(installation: Installation, files: Path) -> None:
    runs = await asyncio.gather(*(installed(installation, files) for _ in range(4)))
    assert sorted(len(ran) for ran in runs) == [0, 0, 0, len(wanted_migrations(SERVICE, files))]


async def test_a_file_edited_after_it_ran_is_refused(installation: Installation, files: Path) -> None:
    await installed(installation, files)
    (files / "0001_notes.sql").write_text(NOTES + " -- a second thought")
    with pytest.raises(MigrationError, match=r"ledger/0001_notes\.sql was changed after it ran"):
        await installed(installation, files)


async def test_a_database_of_a_newer_version_is_refused(installation: Installation, files: Path) -> None:
    (files / "0002_more.sql").write_text("CREATE TABLE more (id int)")
    await installed(installation, files)
    (files / "0002_more.sql").unlink()
    with pytest.raises(MigrationError, match=r"newer than this version \(it ran ledger/0002_more\.sql\)"):
        await installed(installation, files)


async def test_a_failing_file_leaves_nothing_and_can_be_mended(installation: Installation, files: Path) -> None:
    (files / "0002_broken.sql").write_text("CREATE TABLE halfway (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match=r"ledger/0002_broken\.sql failed: division by zero"):
        await installed(installation, files)
    assert "halfway" not in await tables(installation)
    assert "notes" in await tables(installation)
    (files / "0002_broken.sql").write_text("CREATE TABLE whole (id int)")
    assert await installed(installation, files) == ["ledger/0002_broken.sql"]


async def test_a_file_without_transaction_may_build_an_index_while_others_wait(
    installation: Installation, files: Path
) -> None:
    await installed(installation, files)
    (files / "0002_index.sql").write_text(
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS notes_again ON notes (municipality);\n"
    )
    runs = await asyncio.gather(*(installed(installation, files) for _ in range(2)))
    assert sorted(runs) == [[], ["ledger/0002_index.sql"]]


async def test_a_runner_that_waits_in_vain_says_so(installation: Installation, files: Path) -> None:
    await installed(installation, files)
    async with connected(installation) as first, connected(installation) as second:
        await first.execute("SELECT pg_advisory_lock($1)", 0x7461697761)
        with pytest.raises(MigrationError, match="another migration has been running"):
            await migrate(second, wanted_migrations(SERVICE, files), patience=0.2)


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1_Notes.sql").write_text("")
    with pytest.raises(MigrationError, match="rename"):
        migrations_of("x", tmp_path)


async def test_nothing_is_pending_after_it_ran(installation: Installation, files: Path) -> None:
    await installed(installation, files)
    async with connected(installation) as connection:
        assert await pending(connection, wanted_migrations(SERVICE, files)) == []


async def test_the_api_role_owns_nothing_and_makes_nothing(installation: Installation, files: Path) -> None:
    await installed(installation, files)
    database = await Database.connect(installation.settings, SERVICE, "api", PASSWORD, 1)
    try:
        for forbidden in (
            "CREATE TABLE mine (id int)",
            "DROP TABLE notes",
            "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
            "TRUNCATE notes",
            f'SET ROLE "{role_name(installation.settings, SERVICE, "owner")}"',
            f'SET ROLE "{role_name(installation.settings, SERVICE, "worker")}"',
            "SELECT make_event_log_partitions()",
            "SELECT * FROM relay_place",
            "DELETE FROM schema_migrations",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with database.scoped(MIDORI) as connection:
                    await connection.execute(forbidden)
    finally:
        await database.close()


async def test_a_role_reaches_the_database_of_its_own_service_only(installation: Installation, files: Path) -> None:
    await installed(installation, files)
    async with connected(installation) as connection:
        others = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE rolname ~ $1 AND rolname !~ $2 AND rolcanlogin "
            "AND has_database_privilege(rolname, current_database(), 'CONNECT')",
            "^taiwa_test_",
            f"^taiwa_test_{SERVICE}_",
        )
        owner = role_name(installation.settings, SERVICE, "owner")
        may_log_in = await connection.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", owner)
    assert others == []
    assert may_log_in is False


@pytest.mark.parametrize(
    "scope", ["", "99999", "9999970", "999997'; DROP TABLE notes; --", "**", "９９９９９７", "999997\n"]
)
async def test_a_scope_that_is_no_municipality_reaches_no_database(scope: str, installation: Installation) -> None:
    database = await Database.connect(installation.settings, "nowhere", "api", PASSWORD, 1)
    with pytest.raises(ValueError, match="not a municipality"):
        async with database.scoped(scope):
            pass
    await database.close()

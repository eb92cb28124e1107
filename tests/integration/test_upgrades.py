"""What a migration moves is there afterwards: an installation that has rows already is brought up to date."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

import services
from chassis.database import database_name
from chassis.installation import Tenancy, install
from chassis.testing import MIDORI, PASSWORD, Installation
from chassis.transaction import new_id

SERVICES = Path(services.__path__[0])
Superuser: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Upgrade: TypeAlias = Callable[[str, int, Callable[[Superuser], Awaitable[Any]]], Awaitable[Superuser]]


@pytest.fixture
async def upgrade(installation: Installation, tmp_path: Path) -> AsyncIterator[Upgrade]:
    """Install a service as it was up to its migration ``last``, fill it, bring it up to date, look at it."""
    connections: list[Superuser] = []
    admin = await asyncpg.connect(installation.admin_url)
    made: list[str] = []

    async def connect(name: str) -> Superuser:
        connection = await asyncpg.connect(installation.admin_url, database=name)
        connections.append(connection)
        return connection

    async def run(service: str, last: int, fill: Callable[[Superuser], Awaitable[Any]]) -> Superuser:
        now = SERVICES / service / "migrations"
        for file in sorted(now.glob("*.sql")):
            if int(file.name.split("_")[0]) <= last:
                shutil.copy(file, tmp_path)
        name = database_name(installation.settings, service)
        made.append(name)
        await install(installation.admin_url, installation.settings, Tenancy(service, PASSWORD, tmp_path))
        connection = await connect(name)
        await fill(connection)
        await install(installation.admin_url, installation.settings, Tenancy(service, PASSWORD, now))
        return connection

    yield run
    for connection in connections:
        await connection.close()
    for name in made:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await admin.close()


async def test_sections_of_leaders_keep_the_attributes_they_were_founded_with(upgrade: Upgrade) -> None:
    section = new_id()

    async def fill(it: Superuser) -> None:
        await it.execute(
            """INSERT INTO sections (municipality, section_id, code, kind, appointing_authority, display_order, from_on)
            VALUES ($1, $2, '3010', '議会事務局', '議長', 160, '2020-04-01')""",
            MIDORI,
            section,
        )

    it = await upgrade("leaders", 2, fill)
    [row] = await it.fetch("SELECT *, from_on::text AS founded_on FROM section_attributes")
    assert (row["section_id"], row["version"], row["until_on"]) == (section, 1, None)
    assert (row["kind"], row["appointing_authority"], row["display_order"]) == ("議会事務局", "議長", 160)
    assert row["founded_on"] == "2020-04-01"
    assert await walled(it, "sections")


async def test_sections_of_directory_keep_the_attributes_they_have(upgrade: Upgrade) -> None:
    async def fill(it: Superuser) -> None:
        await it.execute(
            """INSERT INTO sections (municipality, section_id, version, code, name, kind, appointing_authority,
                                     display_order, head_post, created_on)
            VALUES ($1, $2, 3, '3010', '議会事務局', '議会事務局', '議長', 160, '局長', '2020-04-01')""",
            MIDORI,
            new_id(),
        )

    it = await upgrade("directory", 2, fill)
    [row] = await it.fetch("SELECT *, from_on::text AS founded_on FROM section_attributes")
    assert (row["kind"], row["appointing_authority"], row["display_order"]) == ("議会事務局", "議長", 160)
    assert row["founded_on"] == "2020-04-01"
    assert await walled(it, "sections")


async def walled(it: Superuser, table: str) -> bool:
    """Whether the table's wall holds for its owner too."""
    return bool(
        await it.fetchval("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = $1", table)
    )

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import pytest

from chassis.calendar import TOKYO
from chassis.clocks import monotonic
from chassis.database import Database, database_name
from chassis.health import WatchedLoop
from chassis.service import Loop, Service
from chassis.testing import Installation, Running, eventually, running, set_civil_clock
from tests.integration.chassis import archive

SETTINGS = archive.SETTINGS


class Flaky:
    """A loop that fails until it is mended."""

    def __init__(self) -> None:
        self.broken = True
        self.rounds = 0

    async def run(self, database: Database) -> int:
        self.rounds += 1
        if self.broken:
            raise RuntimeError("山田太郎の宛先がありません")
        async with database.scoped("*", read_only=True) as connection:
            await connection.fetchval("SELECT 1")
        return 0


flaky = Flaky()


def build_with_a_flaky_loop(settings: archive.ArchiveSettings) -> Service:
    return archive.build(settings, (Loop("flaky", flaky.run, pause=0.01),))


async def ready(it: Running) -> dict[str, Any]:
    answer = await it.client().get("/health/ready")
    readiness: dict[str, Any] = answer.json()
    assert answer.status_code == (200 if readiness["ready"] else 503)
    return readiness


def check(readiness: dict[str, Any], name: str) -> dict[str, Any]:
    found = {each["name"]: each for each in readiness["checks"]}
    assert name in found, "it has not begun yet"
    named: dict[str, Any] = found[name]
    return named


async def test_a_faulted_loop_is_shown_begun_again_and_forgotten_when_mended(installation: Installation) -> None:
    async with running(build_with_a_flaky_loop, installation) as it:

        async def shown() -> dict[str, Any]:
            found = check(await ready(it), "flaky")
            assert not found["ok"]
            return found

        found = await eventually(shown, timeout=30)
        assert found["reason"] == "it failed (RuntimeError) and is begun again"
        assert (await ready(it))["ready"], "one loop's fault does not take the others' requests away"
        rounds = flaky.rounds
        flaky.broken = False

        async def mended() -> bool:
            return bool(check(await ready(it), "flaky")["ok"]) and flaky.rounds > rounds

        await eventually(mended, timeout=30)


async def test_stops_are_listed_with_the_command_that_ends_them(installation: Installation) -> None:
    async with running(archive.build, installation, roles=("api", "timers")) as it:
        async with it.worker.scoped("*") as connection:
            await connection.execute(
                "INSERT INTO stops (consumer, scope, topic, partition, reason, command) "
                "VALUES ('archive', 'paused', 'noticeboard.events', 3, 'a hole at 7', 'taiwa consumers resume')"
            )

        async def listed() -> bool:
            stops: list[dict[str, object]] = (await ready(it))["stops"]
            return stops == [
                {
                    "scope": "paused",
                    "topic": "noticeboard.events",
                    "partition": 3,
                    "reason": "a hole at 7",
                    "command": "taiwa consumers resume",
                }
            ]

        await eventually(listed)


async def test_the_civil_clock_is_reported(board: Running) -> None:
    assert (await ready(board))["civil_clock"]["simulated"] is False
    await set_civil_clock(board, datetime(2026, 4, 13, 9, tzinfo=TOKYO))
    clock = (await ready(board))["civil_clock"]
    assert clock["simulated"] is True
    assert clock["now"].startswith("2026-04-13T09:0")


async def test_a_pending_migration_is_named_with_its_command(board: Running) -> None:
    name = database_name(board.installation.settings, "noticeboard")
    admin = await asyncpg.connect(board.installation.admin_url, database=name)
    await admin.execute("DELETE FROM schema_migrations WHERE name LIKE 'noticeboard/%'")
    await admin.close()
    readiness = await ready(board)
    assert not readiness["ready"]
    assert check(readiness, "migrations")["reason"] == (
        "noticeboard/0001_notes.sql has not run (of 1); run `taiwa migrate noticeboard`"
    )


@pytest.mark.parametrize(
    ("age", "reason", "alive"), [(0, None, True), (30, None, True), (61, None, False), (3600, "waits for Kafka", True)]
)
async def test_a_loop_that_neither_gets_on_nor_says_why_is_dead(
    board: Running, age: float, reason: str | None, alive: bool
) -> None:
    began = monotonic() - age
    board.health.watch(WatchedLoop("relay", lambda: began, lambda: reason))
    answer = await board.client().get("/health/live")
    assert answer.status_code == (200 if alive else 503)
    assert answer.json()["live"] is alive
    assert (await ready(board))["ready"] is alive

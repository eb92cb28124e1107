"""A second ``make demo`` goes on with the kept data, whether the first one came to its end or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from taiwa.demo import story
from taiwa.local.ports import free_port
from taiwa.local.postgres import Postgres
from tests.installation.demo import Start

pytestmark = [pytest.mark.xdist_group("second start"), pytest.mark.timeout(300)]

TOLD = {
    ("leaders", "nominations"): sum(len(answer.leaders) for answer in story.ANSWERS),
    ("leaders", "appointments"): len(story.DECIDED),
    ("trainings", "completions"): len(story.COMPLETED),
    ("consultations", "consultations"): len(story.QUESTIONS),
    ("directory", "accounts"): len(story.LOGINS) + len(story.ANSWERING_HEADS),
}
"""Service and table → its rows once the story is told."""

STANDING = [("notifications", "deliveries")] + [
    (name, "event_log") for name in ("directory", "leaders", "trainings", "consultations")
]
"""What grows when anything is told twice."""


def is_decided(start: Start) -> bool:
    """Whether the story has come to its middle: leaders are appointed, the last questions are not asked."""
    run = start.noted()
    if run is None:
        return False
    try:
        shown = httpx.get(f"http://127.0.0.1:{run.ports['mail']}/api/v1/messages", trust_env=False).json()
    except httpx.TransportError:
        return False
    return any("DX推進リーダーに選任されました" in mail["Subject"] for mail in shown["messages"])


async def counted(start: Start) -> dict[tuple[str, str], int]:
    """Rows of the tables in a stopped installation."""
    server = Postgres(start.state / "postgres", free_port())
    server.start()
    try:
        found = {}
        for service, table in [*TOLD, *STANDING]:
            connection = await asyncpg.connect(server.url, database=service)
            found[service, table] = await connection.fetchval(f"SELECT count(*) FROM {table}")
            await connection.close()
        return found
    finally:
        server.stop()


async def test_an_interrupted_start_is_gone_on_with_and_a_complete_one_is_left_alone(
    server_folder: Callable[[str], Path],
) -> None:
    folder = server_folder("again")
    with Start(folder) as first:
        first.wait_until(lambda: is_decided(first))
        first.interrupt()
        assert not first.is_ready, "it was interrupted while it filled the town"
    with Start(folder, "--exit-when-ready") as second:
        second.wait_ready()
        second.end()
    rows = await counted(second)
    assert {place: rows[place] for place in TOLD} == TOLD
    logins = second.demo.ready["logins"]
    assert {*logins} == {login.role for login in story.LOGINS}
    with Start(folder) as third:
        third.wait_ready()
        demo = third.demo
        assert demo.ready["logins"] == logins
        assert demo.asked("stop") == {"stopped": True, "left_over": []}
        third.end()
    assert await counted(third) == rows
    assert demo.taiwa("reset", "--yes").returncode == 0
    with Start(folder, "--exit-when-ready", command="up") as empty:
        empty.wait_ready()
        empty.end()
    assert empty.demo.ready["logins"] == {}
    assert await counted(empty) == dict.fromkeys(rows, 0)

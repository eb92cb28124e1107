from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr

from chassis import serve
from chassis.clocks import monotonic
from chassis.health import WatchedLoop
from chassis.serve import hosting, keep_running
from tests.integration.chassis import archive


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is kept."""
    asked: list[float] = []

    async def wait(stop: asyncio.Event, seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == 8:
            stop.set()
        await asyncio.sleep(0)

    monkeypatch.setattr(serve, "_wait", wait)
    return asked


async def test_a_faulted_loop_is_begun_again_after_a_growing_pause(pauses: list[float]) -> None:
    loop = WatchedLoop("loop", lambda: 0.0)

    async def run(stop: asyncio.Event) -> None:
        del stop
        raise ValueError("no")

    await keep_running("leaders", loop, run, asyncio.Event())
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert loop.reason == "it failed (ValueError) and is begun again"


def test_a_fault_is_forgotten_when_the_loop_gets_on() -> None:
    got_on = [0.0]
    loop = WatchedLoop("loop", lambda: got_on[0])
    loop.fail("it failed")
    assert loop.reason == "it failed"
    got_on[0] = monotonic()
    assert loop.reason is None


async def test_a_loop_that_ends_by_itself_is_begun_again(pauses: list[float]) -> None:
    loop = WatchedLoop("loop", lambda: 0.0)

    async def run(stop: asyncio.Event) -> None:
        del stop

    await keep_running("leaders", loop, run, asyncio.Event())
    assert len(pauses) == 8
    assert loop.reason == "it ended by itself"


async def test_a_loop_that_stops_when_asked_is_no_fault() -> None:
    loop, stop = WatchedLoop("loop", lambda: 0.0), asyncio.Event()

    async def run(stop: asyncio.Event) -> None:
        stop.set()

    await keep_running("leaders", loop, run, stop)
    assert loop.reason is None


def test_the_steps_of_a_stop_take_eight_seconds_together() -> None:
    assert sum(serve.STOP_SECONDS.values()) == 8
    assert list(serve.STOP_SECONDS) == ["requests", "consumer", "timers", "relay", "connections"]


async def test_a_service_whose_roles_cannot_be_made_ends_the_process() -> None:
    async def begin(fails: bool) -> None:
        await asyncio.sleep(0)
        if fails:
            raise KeyError("a defect")

    stop = asyncio.Event()
    good, bad = asyncio.create_task(begin(False)), asyncio.create_task(begin(True))
    with pytest.raises(KeyError):
        await serve._until_stopped(stop, [good, bad])
    assert not stop.is_set()
    stop.set()
    await serve._until_stopped(stop, [])


@dataclass
class Line:
    """Something a service holds open."""

    broken: bool = False
    closed: int = 0

    async def close(self) -> None:
        self.closed += 1
        if self.broken:
            raise ConnectionResetError


async def test_what_a_service_holds_open_is_closed_with_it() -> None:
    """A resource without ``close`` is left alone, and one that cannot be closed keeps no other open."""
    broken, line = Line(broken=True), Line()
    service = archive.build(archive.ArchiveSettings(database_password=SecretStr("x")))
    async with hosting(replace(service, resources={"broken": broken, "number": 7, "line": line}), {"api"}):
        assert (broken.closed, line.closed) == (0, 0)
    assert (broken.closed, line.closed) == (1, 1)

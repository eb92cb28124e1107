"""The supervisor restarts what crashes, obeys ``taiwa service``, and stops in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chassis.testing import eventually
from taiwa.local.state import State
from taiwa.local.supervisor import Child, Supervisor, ask
from taiwa.mendable import Mendable

LOOP = "import time, sys\nprint('at work', flush=True)\nwhile True: time.sleep(0.1)"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LOOP


def child(name: str, wave: int, program: str = LOOP) -> Child:
    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)

    async def ready() -> bool:
        return True

    return Child(name, spawn, ready, wave=wave, log_path="its log")


async def test_a_crashed_child_starts_again_and_a_stopped_one_stays_stopped(tmp_path: Path) -> None:
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(State(tmp_path), lambda name, line: lines.append((name, line)), {})
    await supervisor.open()
    try:
        one = child("leaders", 1)
        supervisor.start(one)
        await supervisor.wait_ready("leaders")
        assert one.process is not None
        crashed = one.process.pid
        os.kill(crashed, signal.SIGKILL)
        await eventually(
            lambda: one.process is not None and one.process.pid != crashed and one.condition == "ready", timeout=30
        )
        await eventually(lambda: ("leaders", "at work") in lines, timeout=30)
        assert any("ended with code -9" in line for _, line in lines)

        answer = await ask(State(tmp_path), "stop", "leaders")
        assert answer["services"] == {"leaders": "stopped"}
        assert one.process.poll() is not None
        answer = await ask(State(tmp_path), "start", "leaders")
        assert answer["services"] == {"leaders": "ready"}
        with pytest.raises(Mendable, match="no service nobody"):
            await ask(State(tmp_path), "stop", "nobody")
    finally:
        await supervisor.stop_all()
    with pytest.raises(Mendable, match="Nothing runs"):
        await ask(State(tmp_path), "status")


async def test_lower_waves_stop_first_and_a_stubborn_child_is_killed(tmp_path: Path) -> None:
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor(State(tmp_path), lambda name, line: lines.append((name, line)), {})
    await supervisor.open()
    portal, stubborn, postgres = child("portal", 0), child("leaders", 1, STUBBORN), child("postgres", 3)
    supervisor.start(portal, stubborn, postgres)
    await eventually(lambda: len([line for _, line in lines if line == "at work"]) == 3, timeout=30)
    run = State(tmp_path).run()
    assert run is not None
    assert [running.name for running in run.children][-1] == "portal"
    began = time.monotonic()
    await supervisor.stop_all()
    assert time.monotonic() - began < 10
    assert stubborn.process is not None
    assert stubborn.process.returncode == -signal.SIGKILL
    assert postgres.process is not None
    assert postgres.process.returncode == -signal.SIGTERM
    assert State(tmp_path).run() is None


async def test_a_wrong_control_token_is_refused(tmp_path: Path) -> None:
    supervisor = Supervisor(State(tmp_path), lambda *_: None, {})
    await supervisor.open()
    try:
        run = State(tmp_path).run()
        assert run is not None
        run.control_token = "guessed"
        State(tmp_path).record(run)
        with pytest.raises(Mendable, match="token is wrong"):
            await ask(State(tmp_path), "status")
    finally:
        await supervisor.stop_all()


async def test_a_child_that_never_starts_is_told_with_its_log(tmp_path: Path) -> None:
    supervisor = Supervisor(State(tmp_path), lambda *_: None, {})
    await supervisor.open()
    broken = child("leaders", 1, "raise SystemExit(3)")

    async def never() -> bool:
        return False

    broken.ready = never
    supervisor.start(broken)
    try:
        with pytest.raises(Mendable, match="leaders does not start"):
            await supervisor.wait_ready("leaders", seconds=20)
    finally:
        await supervisor.stop_all()

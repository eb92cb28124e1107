"""Services are forked from a warm process, and behave like any process that was started."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from chassis.testing import eventually
from taiwa.local.nursery import AVAILABLE, Nursery

pytestmark = pytest.mark.xdist_group("nursery")


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    assert AVAILABLE, "the nursery is for Linux; elsewhere `taiwa` starts each service by itself"
    nursery = Nursery()
    nursery.warm()
    nursery.wait_warm()
    yield nursery
    nursery.close()


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "COLUMNS": "200", **more}


def test_a_forked_command_has_its_own_environment_output_session_and_exit_code(nursery: Nursery) -> None:
    helped = nursery.spawn(["serve", "--help"], environment())
    assert helped.stdout is not None
    assert b"SERVICE[:ROLE]" in helped.stdout.read()
    assert helped.wait(30) == 0
    refused = nursery.spawn(["serve", "nobody"], environment())
    assert refused.stdout is not None
    assert b"There is no service nobody." in refused.stdout.read()
    assert refused.wait(30) == 1


WAITING = {"TAIWA_TRAININGS_DATABASE_PASSWORD": "x", "TAIWA_TRAININGS_PORT": "0"}
"""A service without a database: it listens and waits."""


def test_a_killed_child_is_seen_to_end_by_its_signal(nursery: Nursery) -> None:
    waiting = nursery.spawn(["serve", "trainings"], environment(**WAITING))
    waiting.send_signal(signal.SIGKILL)
    assert waiting.wait(30) == -signal.SIGKILL


async def test_children_outlive_the_nursery_and_are_still_seen_to_end() -> None:
    nursery = Nursery()
    nursery.warm()
    nursery.wait_warm()
    child = nursery.spawn(["serve", "trainings"], environment(**WAITING))
    nursery.close()
    await eventually(lambda: child.forgotten)
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    assert await eventually(child.poll) == -1

"""The commands a newcomer meets first."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("help", "demo", "test", "check", "bench", "simulate", "chaos", "up", "down")


def make(*arguments: str) -> str:
    """Its standard output; not as a part of the make that may run these tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    result = subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return result.stdout


def test_make_alone_tells_what_can_be_done() -> None:
    assert [line.split()[1] for line in make().splitlines()] == list(TARGETS)


@pytest.mark.parametrize("target", ["demo", "test", "bench", "simulate", "chaos", "up", "down"])
def test_options_are_passed_on(target: str) -> None:
    assert "tests/e2e -k journey" in make("--dry-run", target, "ARGS=tests/e2e -k journey")


def test_uv_is_fetched_where_the_machine_has_none() -> None:
    assert "python3 -m venv .tools" in make("--dry-run", "UV=.tools/bin/uv", "-B", "test")


@pytest.mark.parametrize(
    "tool",
    [
        "ruff check",
        "ruff format --check",
        "mypy",
        "lint-imports",
        "squawk",
        "taiwa.contracts check",
        "tests.architecture",
    ],
)
def test_check_runs_every_tool(tool: str) -> None:
    assert tool in make("--dry-run", "check")

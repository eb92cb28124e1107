"""The commands a newcomer meets first."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("help", "demo", "test", "check", "bench", "simulate", "chaos", "up", "down")
OWN = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
"""The environment of a make that is not a part of the one that may run these tests."""


def make(*arguments: str) -> str:
    """Its standard output."""
    result = subprocess.run(["make", *arguments], cwd=ROOT, env=OWN, capture_output=True, text=True, check=True)
    return result.stdout


def test_make_alone_tells_what_can_be_done() -> None:
    assert [line.split()[1] for line in make().splitlines()] == list(TARGETS)


@pytest.mark.parametrize("target", ["demo", "test", "bench", "simulate", "chaos", "up", "down"])
def test_options_are_passed_on(target: str) -> None:
    assert "tests/e2e -k journey" in make("--dry-run", target, "ARGS=tests/e2e -k journey")


def test_uv_is_fetched_where_the_machine_has_none() -> None:
    assert "python3 -m venv .tools" in make("--dry-run", "UV=.tools/bin/uv", "-B", "test")


@pytest.mark.parametrize(("missing", "told"), [("uv", "uv could not"), ("packages", "Python packages could not")])
def test_a_first_start_without_a_network_is_told_with_its_mend(tmp_path: Path, missing: str, told: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pip", "uv"):
        tool = tmp_path / ".tools" / "bin" / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        if name == "uv" and missing == "uv":
            continue
        tool.write_text("#!/bin/sh\necho 'no route to host' >&2; exit 2\n")
        tool.chmod(0o755)
    # Making the environment of a machine that has Python: here it is made.
    (tmp_path / "python3").write_text("#!/bin/sh\n")
    (tmp_path / "python3").chmod(0o755)
    environment = {**OWN, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    result = subprocess.run(
        ["make", "UV=.tools/bin/uv", "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "no route to host" in result.stderr
    assert told in result.stderr
    assert "HTTPS_PROXY" in result.stderr


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

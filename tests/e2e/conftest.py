"""The whole product with its demo town, as ``make demo`` starts it, on free ports and a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chassis.clocks import monotonic

START_SECONDS = 150
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: what its ready file says, and the folder it keeps its data in."""

    ready: dict[str, Any]
    state: Path

    @property
    def services(self) -> dict[str, str]:
        """Name of a service → base URL of its API."""
        return {name: each["api"] for name, each in self.ready["services"].items()}

    @property
    def portal(self) -> str:
        """Where the portal answers."""
        return str(self.ready["portal"])

    @property
    def mail(self) -> str:
        """The inbox that took every mail."""
        return str(self.ready["mail"])

    def login(self, role: str) -> dict[str, str]:
        """Municipality, login and password of the demo's person of a role."""
        found: dict[str, str] = self.ready["logins"][role]
        return found

    def taiwa(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command on this installation; gives its output."""
        return subprocess.run(
            [sys.executable, "-m", "taiwa", *arguments],
            env={**os.environ, "TAIWA_STATE": str(self.state)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def demo(server_folder: Callable[[str], Path]) -> Iterator[Demo]:
    """Start the demo once for a module of stories; stop it as Ctrl-C does.

    While writing stories, ``TAIWA_TEST_DEMO`` names the ready file of a demo that runs already (``TAIWA_STATE``: its
    folder).
    """
    if given := os.environ.get("TAIWA_TEST_DEMO"):
        yield Demo(json.loads(Path(given).read_text()), Path(os.environ["TAIWA_STATE"]))
        return
    folder = server_folder("demo")
    ready_file, log = folder / "ready.json", folder / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")}
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "taiwa", "demo", "--free-ports", "--quiet"),
                *("--state", str(folder / "state"), "--ready-file", str(ready_file)),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            _wait_for(ready_file, process, log)
            yield Demo(json.loads(ready_file.read_text()), folder / "state")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _wait_for(ready_file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the demo says it is ready.

    Raises:
        AssertionError: it ended, or took too long; with the end of its output.
    """
    deadline = monotonic() + START_SECONDS
    while not ready_file.exists():
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            if monotonic() < deadline:
                continue
        raise AssertionError(f"the demo did not become ready:\n{log.read_text()[-4000:]}")

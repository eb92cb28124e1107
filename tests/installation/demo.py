"""The whole product with its demo town, as ``make demo`` starts it, on free ports and a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from chassis.clocks import monotonic
from taiwa.local.state import Run, Running, State

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
        with self.begin(*arguments) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    @contextmanager
    def begin(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The same while it runs; it is killed at the end of the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "taiwa", *arguments],
            env={**os.environ, "TAIWA_STATE": str(self.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def asked(self, *arguments: str) -> Any:
        """Run the command with ``--json``; gives its answer.

        Raises:
            AssertionError: it failed; with what it said.
        """
        done = self.taiwa(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Start:
    """One ``taiwa demo`` on free ports, in a folder that outlives it: the next start there finds what this one kept.

    Args:
        folder: for its state, its ready file and its output.
        options: further ones of the command.
        command: ``demo`` or ``up``.
    """

    def __init__(self, folder: Path, *options: str, command: str = "demo") -> None:
        self.state = folder / "state"
        self._ready_file, self._log = folder / "ready.json", folder / "demo.log"
        # Whoever looks for it before this start is ready must not see that of an earlier one.
        self._ready_file.unlink(missing_ok=True)
        self._command = [
            *(sys.executable, "-m", "taiwa", command, "--free-ports", "--quiet"),
            *("--state", str(self.state), "--ready-file", str(self._ready_file), *options),
        ]

    def __enter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")}
        with self._log.open("w") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.interrupt()

    @property
    def is_ready(self) -> bool:
        """Whether the ready file is there."""
        return self._ready_file.exists()

    def noted(self) -> Run | None:
        """What it wrote down about what runs; ``None`` before and after."""
        return State(self.state).run()

    @property
    def demo(self) -> Demo:
        """What the ready file says."""
        return Demo(json.loads(self._ready_file.read_text()), self.state)

    def wait_ready(self) -> None:
        """Return once the demo says it is ready.

        Raises:
            AssertionError: it ended, or took too long; with the end of its output.
        """
        self.wait_until(lambda: self.is_ready)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Return once something is reached while the demo runs.

        Raises:
            AssertionError: it ended, or took too long; with the end of its output.
        """
        deadline = monotonic() + START_SECONDS
        while not reached():
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
            over = self.process.returncode is not None or monotonic() > deadline
            if over and not reached():
                raise AssertionError(f"the demo did not come so far:\n{self._output()}")
        self._look()

    def end(self) -> None:
        """See it end in order, with everything it started.

        Raises:
            AssertionError: it ended otherwise, or something is left over.
        """
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert code == 0, self._output()
        assert [each.name for each in self._started if each.alive()] == [], "left over"
        assert self.noted() is None, "a stop in order is noted"

    def interrupt(self) -> None:
        """Press Ctrl-C and see it :meth:`end`."""
        self._look()
        self.process.send_signal(signal.SIGINT)
        self.end()

    def _look(self) -> None:
        """Remember every process it has started: once it has ended, nobody knows whose they were."""
        self._started = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # some end at once, for example what makes a database
                self._started.append(Running.now(each.name(), each.pid))

    def _output(self) -> str:
        return self._log.read_text()[-4000:]

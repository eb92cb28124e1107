"""One installation's folder: its data, its secrets, and the note about what runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil
from platformdirs import user_state_path

from taiwa import secret_values
from taiwa.mendable import Mendable

NEEDED_MEGABYTES = 400

OURS = ("postgres", "kafka", "mail", "secrets", "logs", "installation.json", "run.json", "run.lock")
"""What an installation keeps in its state folder; a reset deletes these and nothing else."""


def default_state() -> Path:
    """Return the folder used without ``--state``, under the user's state directory."""
    return user_state_path("taiwa")


@dataclass(frozen=True, slots=True)
class Running:
    """One process of ours: its id counts only together with the moment it started."""

    name: str
    pid: int
    started: float

    @classmethod
    def now(cls, name: str, pid: int) -> Running:
        """Note a process that runs now; one that ended meanwhile never matches later."""
        try:
            return cls(name, pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(name, pid, 0.0)

    def alive(self) -> bool:
        """Tell whether this very process still runs (the system may have given its id to another)."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass
class Run:
    """What the supervisor writes down, for ``taiwa service``, ``taiwa stop`` and the next start."""

    supervisor: Running
    children: list[Running] = field(default_factory=list)
    control_port: int = 0
    control_token: str = ""
    ports: dict[str, int] = field(default_factory=dict)


class State:
    """The folder of one installation.

    Args:
        root: the folder; made when missing, readable by its owner only.

    Raises:
        Mendable: it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self._lock: IO[str] | None = None
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("secrets", "logs"):
                (self.root / name).mkdir(exist_ok=True, mode=0o700)
            probe = self.root / ".probe"
            probe.write_text("writable")
            probe.unlink()
        except OSError as fault:
            if fault.errno == 28:  # noqa: PLR2004 - ENOSPC
                raise self._full(0) from fault
            raise Mendable(
                f"The state folder {self.root} cannot be written: {fault.strerror}.",
                "Give yourself permission there, or choose another folder with --state DIR.",
            ) from fault

    def require_space(self) -> None:
        """Refuse to start where the disk is about to be full.

        Raises:
            Mendable: less than :data:`NEEDED_MEGABYTES` are free.
        """
        free = shutil.disk_usage(self.root).free // 1_000_000
        if free < NEEDED_MEGABYTES:
            raise self._full(free)

    def _full(self, free: int) -> Mendable:
        return Mendable(
            f"The disk of {self.root} is full: {free} MB are free, {NEEDED_MEGABYTES} MB are needed.",
            "Free some space there, or choose a folder on another disk with --state DIR.",
        )

    # --- secrets -----------------------------------------------------------------------------------------------

    def secret(self, name: str) -> Path:
        """Return the file of a secret, made once with random content, readable by its owner only."""
        path = self.root / "secrets" / name
        if not path.exists():
            # Written under another name first: an interrupted start leaves no empty secret.
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secret_values.make(name))
            draft.replace(path)
        return path

    # --- notes that stay between runs -----------------------------------------------------------------------------

    def remember(self, name: str, value: object) -> None:
        """Keep a small note (JSON) until the folder is reset."""
        notes = self.notes() | {name: value}
        _replace(self.root / "installation.json", json.dumps(notes, ensure_ascii=False, indent=2))

    def notes(self) -> dict[str, object]:
        """Return the notes kept so far."""
        try:
            notes: dict[str, object] = json.loads((self.root / "installation.json").read_text())
        except FileNotFoundError:
            return {}
        return notes

    # --- what runs -------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Become the one supervisor of this folder until the process ends.

        Raises:
            Mendable: another one runs, or processes of an earlier run are left over.
        """
        lock = (self.root / "run.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            run = self.run()
            by = f" (pid {run.supervisor.pid})" if run else ""
            raise Mendable(
                f"An installation in {self.root} is running already{by}.",
                f"Stop it with Ctrl-C in its terminal or {self._command('stop')}, or choose another --state DIR.",
            ) from None
        left = self.left_over()
        if left:
            lock.close()
            names = ", ".join(f"{process.name} (pid {process.pid})" for process in left)
            raise Mendable(
                f"Processes of an earlier run in {self.root} are left over: {names}.",
                f"Stop them in order with: {self._command('stop')}",
            )
        self._lock = lock

    def _command(self, verb: str) -> str:
        return f"taiwa {verb} --state '{self.root}'" if self.root != default_state() else f"taiwa {verb}"

    def record(self, run: Run) -> None:
        """Write down what runs; read by others, so never half."""
        _replace(self.root / "run.json", json.dumps(asdict(run)))

    def run(self) -> Run | None:
        """Return what was last written down, ``None`` after a clean stop."""
        try:
            noted = json.loads((self.root / "run.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return Run(
            supervisor=Running(**noted["supervisor"]),
            children=[Running(**child) for child in noted["children"]],
            control_port=noted["control_port"],
            control_token=noted["control_token"],
            ports=noted["ports"],
        )

    def left_over(self) -> list[Running]:
        """Return processes of an earlier run that still live, in the order in which to stop them."""
        run = self.run()
        return [child for child in reversed(run.children) if child.alive()] if run else []

    def finished(self) -> None:
        """Note a clean stop."""
        (self.root / "run.json").unlink(missing_ok=True)


def stop_left_over(left: list[Running], seconds: float = 8.0) -> None:
    """Stop processes of ours, the first in the list first; those that do not end in time are killed."""
    for process in left:
        # PostgreSQL takes SIGTERM as "wait until every session has ended"; SIGINT ends the sessions.
        number = signal.SIGINT if process.name == "postgres" else signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        deadline = time.monotonic() + seconds
        while process.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)

"""A warm process from which the services are forked, so that their imports are paid and kept in memory once.

Six services import nearly the same code for two seconds of CPU each, most of a start on two cores. The nursery imports
it once, while PostgreSQL and Kafka start, and then forks a process per service on demand; a restart takes no imports
at all. It has one thread and no event loop, so forking it is safe. Linux only: elsewhere a fork without an exec is not.

The nursery ends by itself when whoever started it does; the services go on and are then left over like any others.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from taiwa.mendable import Mendable
from taiwa.services import SERVICES

AVAILABLE = sys.platform == "linux"
_LARGEST = 256 * 1024
_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0
_WARMED = ("taiwa.cli", "chassis.serve", "uvloop", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.off")


class Forked:
    """A process of the nursery, used like a :class:`subprocess.Popen`."""

    def __init__(self, pid: int, output: int) -> None:
        self.pid = pid
        self.stdout: io.BufferedReader | None = open(output, "rb")  # noqa: SIM115 - whoever reads it closes it
        self.returncode: int | None = None
        self.forgotten = False
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        """Note that it has ended."""
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        """The exit code, ``None`` while it runs."""
        if self.forgotten and self.returncode is None and not _lives(self.pid):
            self.end(-1)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        self._ended.wait(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"forked process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Nursery:
    """The supervisor's side."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._answers: queue.Queue[int] = queue.Queue()
        self._children: dict[int, Forked] = {}
        self._early: dict[int, int] = {}
        self._warm = threading.Event()

    def warm(self) -> None:
        """Start importing; returns at once. Does nothing while a nursery runs."""
        if self._process is not None and self._process.poll() is None:
            return
        for child in self._children.values():
            child.forgotten = True
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "taiwa.local.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._socket, self._answers = ours, queue.Queue()
        self._warm.clear()
        threading.Thread(target=self._listen, args=(ours, self._answers), daemon=True).start()

    def wait_warm(self) -> None:
        """Wait until the imports are done, so that forking takes no time.

        Raises:
            Mendable: the nursery has ended.
        """
        if not self._warm.wait(_PATIENCE_SECONDS) or self._process is None or self._process.poll() is not None:
            raise Mendable("The nursery of services does not start.", "See what it says: python -m taiwa serve leaders")

    def spawn(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Forked:
        """Run ``taiwa ARGUMENTS`` in a process of its own session, output by a pipe.

        Raises:
            Mendable: the nursery does not answer.
        """
        self.warm()
        asked = self._socket
        if asked is None:
            raise Mendable("The nursery of services has not started.", "Start again.")
        output, theirs = os.pipe()
        try:
            message = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
            socket.send_fds(asked, [message], [theirs])
            pid = self._answers.get(timeout=_PATIENCE_SECONDS)
        except (OSError, queue.Empty) as fault:
            os.close(output)
            raise Mendable(f"The nursery of services does not answer: {fault!r}", "Start again.") from fault
        finally:
            os.close(theirs)
        child = Forked(pid, output)
        self._children[pid] = child
        if pid in self._early:
            child.end(self._early.pop(pid))
        return child

    def close(self) -> None:
        """End the nursery, not its children."""
        if self._socket is not None:
            # Closing alone does not wake the thread that listens.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self, ours: socket.socket, answers: queue.Queue[int]) -> None:
        while True:
            try:
                said = ours.recv(_LARGEST)
            except OSError:
                said = b""
            if not said:
                break
            told = json.loads(said)
            if "warm" in told:
                self._warm.set()
            elif "code" not in told:
                answers.put(told["pid"])
            elif (child := self._children.pop(told["pid"], None)) is not None:
                child.end(told["code"])
            else:
                self._early[told["pid"]] = told["code"]
        for child in self._children.values():
            child.forgotten = True
        self._warm.set()


def _become(asked: dict[str, Any], output: int, control: socket.socket) -> None:
    """The forked child: it never returns."""
    code = 1
    try:
        control.close()
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["taiwa", *asked["arguments"]]
        importlib.import_module("taiwa.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - the parent's code must never run on in a child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Tearing the interpreter down costs a third of a second and gives nothing back.
        os._exit(code)


def _tell_ended(control: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        control.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def main() -> None:
    """Import, then fork what is asked for until the other side is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in (*_WARMED, *(f"services.{name}.main" for name in SERVICES)):
        # A service that cannot be imported says so itself, in its own process.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    # What is alive now is never looked at again, so its pages stay shared.
    gc.freeze()
    control.send(json.dumps({"warm": True}).encode())
    control.settimeout(_LOOK_SECONDS)
    while True:
        _tell_ended(control)
        try:
            message, descriptors, _, _ = socket.recv_fds(control, _LARGEST, 1)
        except TimeoutError:
            continue
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            _become(json.loads(message), descriptors[0], control)
        os.close(descriptors[0])
        control.send(json.dumps({"pid": pid}).encode())


if __name__ == "__main__":
    main()

"""Keeps the processes of one installation running: start, prefixed logs, restart with back-off, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from taiwa.local.state import Run, Running, State
from taiwa.mendable import Mendable

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
HEALTHY_SECONDS = 60.0
POLL_SECONDS = 0.1

STOP_SECONDS = 8.0
"""Patience with a child that is stopped alone."""

WAVES_STOPPED_BY = (3.0, 6.5, 8.0, 9.5)
"""Seconds after which a wave that has not stopped is killed, counted from the beginning of the whole stop."""

REAPED_SECONDS = 2.0
"""How long the end of a killed process is waited for."""


class Process(Protocol):
    """What the supervisor needs of a process; :class:`subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    @property
    def stdout(self) -> Iterable[bytes] | None:
        """Its output, line by line; ``None`` where it writes elsewhere."""

    def poll(self) -> int | None:
        """The exit code, ``None`` while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; :class:`subprocess.TimeoutExpired` when it does not come in time."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal."""


Condition = Literal["starting", "ready", "stopped", "waiting to restart"]


@dataclass
class Child:
    """One supervised process.

    Args:
        name: what people call it in logs and in ``taiwa service``.
        spawn: starts the process in a session of its own; output it wants shown comes by a stdout pipe.
        ready: tells whether it does its work; called often.
        wave: 0 to 3; children of a lower wave stop first.
        stop_signal: asks it to stop in order.
        log_path: where to read more when it fails.
    """

    name: str
    spawn: Callable[[], Process]
    ready: Callable[[], Awaitable[bool]]
    wave: int
    log_path: str
    stop_signal: signal.Signals = signal.SIGTERM
    wanted: bool = field(default=False, init=False)
    process: Process | None = field(default=None, init=False)
    condition: Condition = field(default="stopped", init=False)
    restarts: int = field(default=0, init=False)
    task: asyncio.Task[None] | None = field(default=None, init=False)


class Supervisor:
    """Runs children, answers ``taiwa service`` on a loopback port, and stops all within ten seconds.

    Args:
        state: the claimed folder.
        show: gets ``(name, line)`` for every line a child prints; called from several threads.
        ports: noted for others to read.
    """

    def __init__(self, state: State, show: Callable[[str, str], None], ports: dict[str, int]) -> None:
        self._state = state
        self._show = show
        self._children: dict[str, Child] = {}
        self._server: asyncio.Server | None = None
        self._run = Run(Running.now("supervisor", os.getpid()), control_token=secrets.token_urlsafe(24), ports=ports)

    async def open(self) -> None:
        """Begin to answer ``taiwa service``."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self._run.control_port = self._server.sockets[0].getsockname()[1]
        self._state.record(self._run)

    def start(self, *children: Child) -> None:
        """Start children and keep them running; returns at once."""
        for child in children:
            self._children[child.name] = child
            self._keep(child)

    async def wait_ready(self, *names: str, seconds: float = 90.0) -> None:
        """Wait until children do their work.

        Raises:
            Mendable: one of them ended again and again, or the time passed.
        """
        deadline = time.monotonic() + seconds
        for name in names:
            child = self._children[name]
            while child.condition != "ready":
                if child.restarts > 1 or time.monotonic() > deadline:
                    raise Mendable(f"{name} does not start.", f"Read {child.log_path}")
                await asyncio.sleep(0.05)

    async def stop_one(self, name: str) -> None:
        """Stop one child and keep it stopped."""
        await self._stop(self._children[name], STOP_SECONDS)

    async def start_one(self, name: str) -> None:
        """Start a stopped child again and wait until it does its work."""
        child = self._children[name]
        if not child.wanted:
            child.restarts = 0
            self._keep(child)
        await self.wait_ready(name)

    async def stop_all(self) -> None:
        """Stop everything, wave by wave, and note the clean end."""
        if self._server is None:
            # Never opened: the folder may belong to another supervisor, whose note must stay.
            return
        self._server.close()
        began = time.monotonic()
        for wave, seconds in enumerate(WAVES_STOPPED_BY):
            patience = began + seconds - time.monotonic()
            stopping = [self._stop(child, patience) for child in self._children.values() if child.wave == wave]
            await asyncio.gather(*stopping)
        self._state.finished()

    def kill_all(self) -> None:
        """End everything at once; the next start recovers."""
        for child in self._children.values():
            child.wanted = False
            if child.process:
                _signal_group(child.process, signal.SIGKILL)

    def conditions(self) -> dict[str, str]:
        """Name every child's condition."""
        return {child.name: child.condition for child in self._children.values()}

    # --- one child ---------------------------------------------------------------------------------------------

    def _keep(self, child: Child) -> None:
        child.wanted = True
        child.task = asyncio.get_running_loop().create_task(self._keep_running(child))

    async def _keep_running(self, child: Child) -> None:
        pause = FIRST_PAUSE
        while child.wanted:
            child.condition = "starting"
            began = time.monotonic()
            child.process = child.spawn()
            self._note()
            pump = threading.Thread(target=self._pump, args=(child.name, child.process), daemon=True)
            pump.start()
            while child.process.poll() is None:
                if child.condition == "starting" and await child.ready():
                    child.condition = "ready"
                await asyncio.sleep(POLL_SECONDS)
            if not child.wanted:
                break
            if time.monotonic() - began > HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            child.condition = "waiting to restart"
            child.restarts += 1
            self._show(
                "supervisor",
                f"{child.name} ended with code {child.process.returncode}; it starts again in {pause:g} s",
            )
            # What it started itself would hold its ports.
            _signal_group(child.process, signal.SIGKILL)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        child.condition = "stopped"
        self._note()

    async def _stop(self, child: Child, patience: float) -> None:
        child.wanted = False
        process = child.process
        if process is not None and process.poll() is None:
            # To the process alone: what it started itself, it stops itself.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(child.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, max(0.1, patience))
            if process.poll() is None:
                self._show("supervisor", f"{child.name} did not stop in {patience:.1f} s and is killed")
                _signal_group(process, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):  # dead it is; the system may be slow to say so
                    await asyncio.to_thread(process.wait, REAPED_SECONDS)
        if child.task:
            child.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await child.task
        child.condition = "stopped"
        self._note()

    def _pump(self, name: str, process: Process) -> None:
        if process.stdout is None:
            return
        for line in process.stdout:
            self._show(name, line.decode(errors="replace").rstrip())

    def _note(self) -> None:
        self._run.children = [
            Running.now(child.name, child.process.pid)
            for child in sorted(self._children.values(), key=lambda child: -child.wave)
            if child.process is not None and child.process.poll() is None
        ]
        self._state.record(self._run)

    # --- taiwa service -------------------------------------------------------------------------------------------

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await asyncio.wait_for(reader.readline(), 5))
            answer = await self._obey(str(asked["token"]), str(asked["verb"]), str(asked.get("name", "")))
        except (ValueError, KeyError, TypeError, TimeoutError) as fault:
            answer = {"problem": f"not understood: {fault}", "mend": "Use the command taiwa service."}
        except Mendable as fault:
            answer = {"problem": fault.problem, "mend": fault.mend}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def _obey(self, token: str, verb: str, name: str) -> dict[str, object]:
        if not secrets.compare_digest(token, self._run.control_token):
            raise Mendable("The control token is wrong.", "Use the command taiwa service with the right --state.")
        if verb != "status" and name not in self._children:
            raise Mendable(f"There is no service {name}.", f"Choose one of: {', '.join(self._children)}")
        if verb == "stop":
            await self.stop_one(name)
        elif verb == "start":
            await self.start_one(name)
        return {"services": self.conditions()}


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def ask(state: State, verb: str, name: str = "") -> dict[str, object]:
    """Ask the running supervisor of a folder to ``stop`` or ``start`` a service, or for the ``status`` of all.

    Raises:
        Mendable: nothing runs there, or the supervisor refuses.
    """
    run = state.run()
    not_running = Mendable(f"Nothing runs in {state.root}.", "Start it with `taiwa demo` or `taiwa up`.")
    if run is None or not run.supervisor.alive():
        raise not_running
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", run.control_port)
    except OSError as fault:
        raise not_running from fault
    writer.write(json.dumps({"token": run.control_token, "verb": verb, "name": name}).encode() + b"\n")
    answer: dict[str, object] = json.loads(await reader.readline())
    writer.close()
    if "problem" in answer:
        raise Mendable(str(answer["problem"]), str(answer["mend"]))
    return answer

"""Starts roles as processes and kills them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chassis.failpoints import VARIABLE
from chassis.testing import Installation

ROOT = Path(__file__).parents[2]


class Role:
    """One role in a process of its own."""

    def __init__(self, installation: Installation, role: str, given: str = "") -> None:
        self._arguments = [
            sys.executable,
            "-m",
            "tests.resilience.process",
            installation.admin_url,
            installation.settings.model_dump_json(),
            role,
            given,
        ]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, failpoint: str = "") -> None:
        """Start it; at ``failpoint`` it kills itself."""
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if failpoint:
            environment[VARIABLE] = failpoint
        self._process = await asyncio.create_subprocess_exec(*self._arguments, env=environment, cwd=ROOT)

    async def killed(self, seconds: float = 60) -> None:
        """Wait until it has killed itself."""
        assert self._process is not None
        code = await asyncio.wait_for(self._process.wait(), seconds)
        assert code == -signal.SIGKILL, f"it ended with {code}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """kill -9, whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def role(installation: Installation, name: str, given: str = "") -> AsyncIterator[Role]:
    """A role that is killed at the end of the block; ``given`` is what :mod:`tests.resilience.process` says of it."""
    it = Role(installation, name, given)
    try:
        yield it
    finally:
        await it.kill()

"""Roles of the bench in processes of their own: ``python -m tests.performance.processes ROLE JSON``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
import uvloop

from chassis.consumer import Consumer
from chassis.database import Database
from chassis.relay import Relay
from chassis.serve import spare_what_stands
from chassis.settings import InstallationSettings
from chassis.testing import PASSWORD, Installation
from tests.integration.messaging.services import sink_service, source_service

ROOT = Path(__file__).parents[2]


class Process:
    """A role that runs."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running

    async def kill(self) -> None:
        """kill -9."""
        if self._running.returncode is None:
            self._running.kill()
            await self._running.wait()

    async def stop(self) -> None:
        """SIGTERM, and kill -9 where that does not help."""
        if self._running.returncode is None:
            self._running.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._running.wait(), 5)
            except TimeoutError:
                await self.kill()

    async def ended(self) -> None:
        """Wait until it ends by itself.

        Raises:
            AssertionError: it failed.
        """
        code = await self._running.wait()
        if code:
            raise AssertionError(f"a role of the bench ended with {code}")


@asynccontextmanager
async def process(installation: Installation, role: str, **given: Any) -> AsyncIterator[Process]:
    """A role in a process of its own, stopped at the end of the block."""
    text = json.dumps({"url": installation.admin_url, "settings": installation.settings.model_dump_json(), **given})
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.performance.processes", role, text),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    it = Process(running)
    try:
        yield it
    finally:
        await it.stop()


async def _run(role: str, installation: Installation, given: dict[str, Any]) -> None:
    from tests.performance import consuming, peer, relaying, serving, tutorial  # noqa: PLC0415  they start this module

    settings = installation.settings
    spare_what_stands()
    if role == "api":
        await serving.serve(installation, given["keys"], given["port"])
    elif role.startswith("peer"):
        await peer.relay(installation, **given)
    elif role.startswith("tutorial"):
        await tutorial.run(role, installation, **given)
    else:
        reacts = role == "reacting-consumer"
        consumes = role.endswith("consumer")
        service = sink_service(installation, reacts=reacts) if consumes else source_service(installation)
        database = await Database.connect(settings, service.name, "worker", PASSWORD, 4)
        database.simulated_clock = False
        if role == "relay":
            await Relay(service, database, None, settings).run(asyncio.Event())
        elif role in {"consumer", "reacting-consumer"}:
            await Consumer(service, database, settings).run(asyncio.Event())
        elif role == "plain-relay":
            await relaying.publish_all(settings, database)
        elif role == "plain-consumer":
            await consuming.consume_for_ever(settings, database)


if __name__ == "__main__":
    which, text = sys.argv[1:]
    rest = json.loads(text)
    it = Installation(rest.pop("url"), InstallationSettings.model_validate_json(rest.pop("settings")))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    uvloop.run(_run(which, it, rest))

"""みどり町 with every real service in this process, told the demo's story of April; the portal on a port of its own."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from fastapi import FastAPI
from playwright.async_api import Page

from chassis.tail import log_ends
from chassis.testing import Installation, Running, eventually, running
from taiwa.civil_time import Town as Rest
from taiwa.demo import story
from taiwa.demo.filling import Author
from taiwa.local import ports
from taiwa.services import SERVICES, WITH_CLOCK

TOGETHER = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]
"""Marks of every module here: the town is told once, in one worker and one event loop. The first
test waits for the story."""

LOGINS = {login.role: login for login in story.LOGINS}


@dataclass
class Listening:
    """One application on a port of this machine; stopped and started again at will."""

    app: FastAPI
    port: int
    _server: uvicorn.Server | None = None
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, host=ports.LOOPBACK, port=self.port, log_level="warning", lifespan="off")
        )
        self._task = asyncio.create_task(self._server.serve())
        await eventually(lambda: self._server is not None and self._server.started)

    async def stop(self) -> None:
        """Listen no longer; open connections are closed."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = self._server.force_exit = True
        await self._task
        self._server = self._task = None


@dataclass
class MidoriTown:
    """The running town."""

    services: dict[str, Running]
    listening: dict[str, Listening]
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where the portal answers."""
        return self.urls["portal"]

    @asynccontextmanager
    async def without(self, service: str) -> AsyncIterator[None]:
        """A while in which a service does not answer."""
        await self.listening[service].stop()
        try:
            yield
        finally:
            await self.listening[service].start()


@asynccontextmanager
async def midori_town(installation: Installation) -> AsyncIterator[MidoriTown]:
    """Start all services, tell the story of April through their API, and stop everything at the end."""
    async with AsyncExitStack() as stack:
        numbers = {name: ports.free_port() for name in SERVICES}
        urls = {name: f"http://{ports.LOOPBACK}:{number}" for name, number in numbers.items()}
        own: dict[str, dict[str, object]] = {
            # Directory signs with the installation's key, which is the one the others verify with.
            "directory": {"signing_key": json.dumps(installation.key.as_dict(private=True))},
            "portal": {f"{name}_url": url for name, url in urls.items() if name != "portal"},
        }
        own["portal"]["contact"] = "みどり町 総合政策課 情報システム戦略係（内線 235）"
        own["portal"]["municipality"] = story.MUNICIPALITY
        # Whatever else this machine is doing: a slow service is not what these tests are about.
        own["portal"] |= {"glance_seconds": 10.0, "read_seconds": 30.0}
        mail = Controller(Sink(), hostname=ports.LOOPBACK, port=ports.free_port())
        mail.start()
        stack.callback(mail.stop)
        own["notifications"] = {"smtp_port": mail.port}
        services: dict[str, Running] = {}
        listening: dict[str, Listening] = {}
        for name in SERVICES:
            build = importlib.import_module(f"services.{name}.main").build
            it = await stack.enter_async_context(running(build, installation, settings=own.get(name)))
            services[name], listening[name] = it, Listening(it.app, numbers[name])
            await listening[name].start()
            stack.push_async_callback(listening[name].stop)
        ends = await stack.enter_async_context(log_ends(installation.settings))
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            rest = Rest({name: services[name].worker for name in WITH_CLOCK}, ends)
            await Author(urls, http, services["directory"].database, rest).tell()
        yield MidoriTown(services, listening, urls)


async def log_in(page: Page, who: str | story.Login) -> None:
    """Log in as the demo's person of a role, or with a login of one's own."""
    login = LOGINS[who] if isinstance(who, str) else who
    await page.goto("/login")
    await page.get_by_label("ログインID").fill(login.login)
    await page.get_by_label("パスワード").fill(login.password)
    await page.get_by_role("button", name="ログインする").click()
    await page.wait_for_url("**/")

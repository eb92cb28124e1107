"""The service as a process of its own: how it starts, what it says meanwhile, how it stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from chassis.auth import JWKS_PATH
from chassis.clocks import monotonic
from chassis.testing import PASSWORD, Installation, build_for, drop_test_database, eventually, make_test_database
from taiwa.local.ports import free_port
from tests.integration.chassis import noticeboard

ROOT = Path(__file__).parents[3]
PROGRAM = """
from chassis.serve import ROLES, run
from tests.integration.chassis.noticeboard import build
run([(build(), ROLES)])
"""


@dataclass
class Process:
    """A served noticeboard."""

    process: asyncio.subprocess.Process
    url: str
    lines: list[str]

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"{self.url}{path}")

    async def ready(self) -> dict[str, Any]:
        """What readiness says; it must answer at all."""
        try:
            answer: dict[str, Any] = (await self.get("/health/ready")).json()
        except httpx.TransportError:
            raise AssertionError("it does not listen yet") from None
        return answer

    async def stop(self) -> float:
        """Ask it to stop; gives the seconds it took."""
        began = monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert await self.process.wait() == 0, "".join(self.lines)
        return monotonic() - began


@pytest.fixture
async def directory(installation: Installation) -> AsyncIterator[str]:
    """The address of something that gives the test's public keys."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        content = httpx.Response(200, json=installation.jwks).content
        found = JWKS_PATH.encode() in request
        head = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
            200 if found else 404,
            len(content),
        )
        writer.write(head + content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def served(installation: Installation, directory: str, **changed: str) -> AsyncIterator[Process]:
    """Serve the noticeboard in a process of its own."""
    settings, port = installation.settings, free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TAIWA_")},
        "TAIWA_ENVIRONMENT": "test",
        "TAIWA_PREFIX": settings.prefix,
        "TAIWA_ROLE_PREFIX": settings.role_prefix or "",
        "TAIWA_POSTGRES_HOST": settings.postgres_host,
        "TAIWA_POSTGRES_PORT": str(settings.postgres_port),
        "TAIWA_KAFKA": settings.kafka,
        "TAIWA_DIRECTORY_URL": directory,
        "TAIWA_NOTICEBOARD_PORT": str(port),
        "TAIWA_NOTICEBOARD_DATABASE_PASSWORD": PASSWORD,
        **changed,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    it = Process(process, f"http://127.0.0.1:{port}", [])

    async def listen() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            it.lines.append(line.decode())

    listening = asyncio.create_task(listen())
    try:
        yield it
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


@pytest.fixture
async def database(installation: Installation) -> AsyncIterator[None]:
    """The noticeboard's database, migrated."""
    service = build_for(noticeboard.build, installation)
    await make_test_database(installation, service)
    yield
    await drop_test_database(installation, service)


def checks(readiness: dict[str, Any]) -> dict[str, str | None]:
    """What is not right, with its reason."""
    return {check["name"]: check["reason"] for check in readiness["checks"] if not check["ok"]}


@pytest.mark.usefixtures("database")
async def test_it_serves_publishes_and_stops_within_its_time(installation: Installation, directory: str) -> None:
    await installation.make_topics({"noticeboard.events": False})
    async with served(installation, directory) as it:
        readiness = await eventually(lambda: when_ready(it), timeout=60)
        assert readiness["roles"] == ["api", "consumer", "relay", "timers"]
        assert readiness["stops"] == []
        assert readiness["civil_clock"]["simulated"] is False

        async with httpx.AsyncClient(base_url=it.url, headers=bearer(installation), timeout=30) as hr:
            await hr.post("/notes", json={"title": "quick"}, headers={"Idempotency-Key": "q"})
            await eventually(lambda: installation.facts_on("noticeboard.events"), timeout=30)
            slow = asyncio.create_task(hr.post("/notes", json={"title": "slow"}, headers={"Idempotency-Key": "k"}))
            await eventually(lambda: asleep(installation))
            seconds = await it.stop()
            assert (await slow).status_code == 201, "a running request is finished"
        assert seconds < 8
        # Whether its relay still published it or the next process will: it is in the event log.
        assert await one(installation, "SELECT count(*) FROM event_log") == 2
    log = "".join(it.lines)
    assert "slow" not in log
    assert '"event": "http.request"' in log


async def test_it_starts_without_a_database_and_says_so(installation: Installation, directory: str) -> None:
    service = build_for(noticeboard.build, installation)
    async with served(installation, directory) as it:
        readiness = await eventually(lambda: when_unready(it, "database"), timeout=60)
        assert "taiwa migrate" in str(checks(readiness)["database"])
        assert (await it.get("/health/live")).status_code == 200
        answer = await it.get("/notes")
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.not_authenticated")
        await make_test_database(installation, service)
        await eventually(lambda: when_ready(it), timeout=30)
    await drop_test_database(installation, service)


@pytest.mark.usefixtures("database")
async def test_nothing_around_it_is_there_and_it_says_so(installation: Installation) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    changed = {"TAIWA_KAFKA": nobody}
    async with served(installation, f"http://{nobody}", **changed) as it:
        readiness = await eventually(lambda: when_unready(it, "keys"), timeout=60)
        assert set(checks(readiness)) >= {"keys", "kafka"}
        assert nobody in str(checks(readiness)["kafka"])
        assert (await it.get("/health/live")).status_code == 200
        assert PASSWORD not in str(readiness)
        assert await it.stop() < 8


@pytest.mark.usefixtures("database")
async def test_a_taken_port_is_told_with_its_mend(installation: Installation, directory: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with served(installation, directory, TAIWA_NOTICEBOARD_PORT=port) as it:
            assert await it.process.wait() != 0
    assert f"noticeboard cannot listen on 127.0.0.1:{port}" in "".join(it.lines)
    assert "set TAIWA_NOTICEBOARD_PORT" in "".join(it.lines)


async def test_a_simulated_clock_in_production_is_refused(installation: Installation, directory: str) -> None:
    changed = {"TAIWA_ENVIRONMENT": "production", "TAIWA_SIMULATED_CLOCK": "true"}
    async with served(installation, directory, **changed) as it:
        assert await it.process.wait() != 0
    assert "unset it in production" in "".join(it.lines)


async def when_ready(it: Process) -> dict[str, Any]:
    readiness = await it.ready()
    assert readiness["ready"], checks(readiness)
    return readiness


async def when_unready(it: Process, check: str) -> dict[str, Any]:
    readiness = await it.ready()
    assert not readiness["ready"]
    assert check in checks(readiness)
    return readiness


def bearer(installation: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {installation.token(roles=['hr'])}"}


async def asleep(installation: Installation) -> bool:
    """Whether a request is in the middle of its transaction."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    return bool(await one(installation, asked))


async def one(installation: Installation, asked: str) -> object:
    """One value of the noticeboard's database, as a superuser sees it."""
    name = f"{installation.settings.prefix}noticeboard"
    admin = await asyncpg.connect(installation.admin_url, database=name)
    try:
        return await admin.fetchval(asked)
    finally:
        await admin.close()

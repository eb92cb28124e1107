"""P7: commands over HTTP a second, beside an asyncpg loop with the same statements and as many connections.

The service answers in a process of its own, as in earnest, with its logs of JSON; the caller is a bare HTTP/1.1 client
that costs next to nothing, one request at a time on each connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from time import perf_counter
from typing import Annotated

import asyncpg
import uvicorn
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel

from chassis import telemetry, transaction
from chassis.auth import Caller
from chassis.clocks import machine_now
from chassis.database import database_name, role_name
from chassis.http import Commands, anybody, commands
from chassis.serve import hosting
from chassis.testing import MIDORI, PASSWORD, Installation
from chassis.transaction import Transaction, key_hash, new_id
from taiwa.local import ports
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, source_service
from tests.performance.commanding import CHANGE
from tests.performance.ground import NOTE
from tests.performance.processes import process

CONNECTIONS = 16
_serial = count()
router = APIRouter()


class Renaming(BaseModel):
    """The body of the one command."""

    name: str


class Renamed(BaseModel):
    """Its answer."""

    version: int


@router.post("/owners/{owner}")
async def rename(owner: str, body: Renaming, caller: Annotated[Caller, Depends(anybody)], runner: Commands) -> Response:
    """Change an aggregate by its version and say so."""

    async def use_case(it: Transaction) -> Renamed:
        version = await it.connection.fetchval(CHANGE, it.municipality, owner, body.name)
        it.emit(ThingMadeV1(thing_id=owner, size=1, note=NOTE), version=version)
        return Renamed(version=version)

    return await runner.run(caller, use_case)


async def serve(installation: Installation, keys: dict[str, object], port: int) -> None:
    """The service's role ``api``, in the process that was made for it."""
    service = source_service(installation)
    settings = service.settings.model_copy(update={"api_connections": CONNECTIONS})
    service = replace(service, settings=settings, routers=(router,))
    telemetry.configure(installation.settings.model_copy(update={"log_format": "json"}), [service.name])

    async def fetch_keys() -> dict[str, object]:
        return keys

    async with hosting(service, {"api"}, fetch_keys) as hosted:
        hosted.database.simulated_clock = False
        config = uvicorn.Config(
            hosted.application, "127.0.0.1", port, http="httptools", lifespan="off", log_config=None, access_log=False
        )
        await uvicorn.Server(config).serve()


async def _answered(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise AssertionError(head)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


async def over_http(source: Toy, total: int) -> float:
    """Commands a second over HTTP."""
    installation = source.installation
    port = ports.free_port()
    token = installation.token()
    batch = next(_serial)

    async def caller(number: int, turns: range) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                await asyncio.sleep(0.1)
        body = b'{"name":"another name"}'
        for turn in turns:
            writer.write(
                b"POST /owners/b%d HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %d-%d-%d\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (number * 50 + turn % 50, token.encode(), batch, number, turn, len(body), body)
            )
            await _answered(reader)
        writer.close()

    async with process(installation, "api", keys=installation.jwks, port=port):
        return await _rate(caller, total)


async def directly(source: Toy, total: int) -> float:
    """The same statements by asyncpg alone."""
    settings = source.installation.settings
    route, actor, digest = "POST /owners", str(new_id()), b"h" * 32
    batch = next(_serial)
    payload = ThingMadeV1(thing_id="b", size=1, note=NOTE).write()

    async def caller(number: int, turns: range) -> None:
        connection = await asyncpg.connect(
            host=settings.postgres_host,
            port=settings.postgres_port,
            user=role_name(settings, "source", "api"),
            password=PASSWORD,
            database=database_name(settings, "source"),
        )
        for turn in turns:
            owner = f"b{number * 50 + turn % 50}"
            key, event_id = f"{batch}-{number}-{turn}", new_id()
            await connection.execute(f"BEGIN; SET LOCAL taiwa.municipality = '{MIDORI}'")
            await connection.fetchrow(commands._FIND, MIDORI, actor, route, key)
            version = await connection.fetchval(CHANGE, MIDORI, owner, "another name")
            await connection.execute(
                transaction._APPEND_ONE_AND_KEEP_ANSWER, event_id, ThingMadeV1.TOPIC, ThingMadeV1.TYPE,
                f"thing/{owner}", version, key_hash(MIDORI, f"thing/{owner}"), payload, MIDORI,
                machine_now(), None, event_id, "staff", actor, None,
                actor, route, key, digest, 200, '{"version":1}', "",
            )  # fmt: skip
            await connection.execute("COMMIT")
        await connection.close()

    return await _rate(caller, total)


async def _rate(caller: Callable[[int, range], Awaitable[None]], total: int) -> float:
    each = total // CONNECTIONS
    await asyncio.gather(*(caller(number, range(-20, 0)) for number in range(CONNECTIONS)))  # warms up
    began = perf_counter()
    await asyncio.gather(*(caller(number, range(each)) for number in range(CONNECTIONS)))
    return each * CONNECTIONS / (perf_counter() - began)

"""P6: commands a second with an event, beside the same command without one; 32 connections."""

from __future__ import annotations

import asyncio
from time import perf_counter

from chassis.database import Database
from chassis.testing import MIDORI, PASSWORD, Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE

CONNECTIONS = 32


async def prepare(source: Toy) -> None:
    """One aggregate row for each connection's turn."""
    async with source.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO owners SELECT $1, 'b' || n, 'bench', 0 FROM generate_series(0, $2::int) AS n "
            "ON CONFLICT DO NOTHING",
            MIDORI,
            CONNECTIONS * 50,
        )


async def commands(installation: Installation, source: Toy, count: int, *, with_event: bool) -> float:
    """Update an aggregate's row by its version, with or without emitting; gives commands a second."""
    database = await Database.connect(installation.settings, "source", "api", PASSWORD, CONNECTIONS)
    left = iter(range(count))
    failures = 0

    async def writer(number: int) -> None:
        nonlocal failures
        for turn in left:
            owner = f"b{number * 50 + turn % 50}"
            async with database.transaction(MIDORI, source.SYSTEM) as transaction:
                version = await transaction.connection.fetchval(
                    "UPDATE owners SET state_version = state_version + 1, name = $3 "
                    "WHERE municipality = $1 AND owner_id = $2 RETURNING state_version",
                    MIDORI,
                    owner,
                    f"name {turn}",
                )
                if with_event:
                    transaction.emit(ThingMadeV1(thing_id=owner, size=turn, note=NOTE), version=version)

    try:
        await asyncio.gather(*(writer(number) for number in range(CONNECTIONS)))  # opens the connections
        left = iter(range(count))
        began = perf_counter()
        await asyncio.gather(*(writer(number) for number in range(CONNECTIONS)))
        return count / (perf_counter() - began)
    finally:
        await database.close()

"""P6 and P10: commands a second with an event, beside the same without one; and with the relay woken, beside polling.

32 connections.

A command is what the product carries out for a request: look for its Idempotency-Key, change the aggregate by its
version, store the answer, in one transaction; with or without an event in it.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from chassis.auth import Caller
from chassis.database import Database
from chassis.http.commands import CommandRunner, Fingerprint
from chassis.relay import Relay
from chassis.testing import MIDORI, PASSWORD, Installation
from chassis.transaction import Transaction, new_id
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE

CONNECTIONS = 32

CHANGE = """
UPDATE owners SET state_version = state_version + 1, name = $3
WHERE municipality = $1 AND owner_id = $2 RETURNING state_version
"""


async def prepare(source: Toy) -> None:
    """Aggregate rows enough that no two commands want the same at once."""
    async with source.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO owners SELECT $1, 'b' || n, 'bench', 0 FROM generate_series(0, $2::int) AS n "
            "ON CONFLICT DO NOTHING",
            MIDORI,
            CONNECTIONS * 50,
        )


async def commands(
    installation: Installation, source: Toy, count: int, *, with_event: bool, woken: bool | None = None
) -> float:
    """Carry out ``count`` commands, with or without an event; gives commands a second.

    ``woken``: a relay runs as well, in the same process, and is woken by commits or looks by itself; none: no relay.
    """
    database = await Database.connect(installation.settings, source.service.name, "api", PASSWORD, CONNECTIONS)
    database.simulated_clock = False
    if woken is not None:
        wake = database.committed if woken else asyncio.Event()
        source.start(Relay(source.service, source.worker, wake, installation.settings))
    caller = Caller(MIDORI, new_id(), frozenset({"staff"}), None)

    async def writer(number: int, turns: range) -> None:
        for turn in turns:
            owner = f"b{number * 50 + turn % 50}"

            async def use_case(transaction: Transaction, owner: str = owner, turn: int = turn) -> None:
                version = await transaction.connection.fetchval(CHANGE, MIDORI, owner, f"name {turn}")
                if with_event:
                    transaction.emit(ThingMadeV1(thing_id=owner, size=turn, note=NOTE), version=version)

            fingerprint = Fingerprint("POST /bench", str(new_id()), b"hash")
            await CommandRunner(database, fingerprint).run(caller, use_case)

    async def all_writers(each: int) -> float:
        began = perf_counter()
        await asyncio.gather(*(writer(number, range(each)) for number in range(CONNECTIONS)))
        return each * CONNECTIONS / (perf_counter() - began)

    try:
        await all_writers(5 if woken is None else 20)  # opens the connections and prepares the statements
        return await all_writers(count // CONNECTIONS)
    finally:
        await source.stop()
        await database.close()

"""The simulated PostgreSQL is like the real one, as far as anything rests on it."""

from __future__ import annotations

import pytest

from chassis.database import Database
from chassis.testing import PASSWORD, drop_test_database, fresh_installation, make_test_database
from tests.integration.messaging.services import source_service
from tests.simulation.contract import CHECKS, Check
from tests.simulation.world import World, current, replaced

NO_KAFKA = "127.0.0.1:1"


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
def test_the_simulated_one(check: Check) -> None:
    world = World(1)
    with replaced(), current(world):
        process = world.process("contract")

        async def run() -> None:
            await check(world.database(process, world.source))

        async def main() -> None:
            await process.spawn(run())

        world.loop.run(main())


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
async def test_the_real_one(check: Check, postgres_url: str) -> None:
    async with fresh_installation(postgres_url, NO_KAFKA) as installation:
        service = source_service(installation)
        await make_test_database(installation, service)
        database = await Database.connect(installation.settings, service.name, "worker", PASSWORD, 5)
        try:
            await check(database)
        finally:
            await database.close()
            await drop_test_database(installation, service)

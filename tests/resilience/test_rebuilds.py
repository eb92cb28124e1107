"""The process that rebuilds a projection is killed; the same command goes on where it was."""

from __future__ import annotations

import asyncpg
import pytest

from chassis.database import database_name
from chassis.rebuild import rebuild, unfinished
from chassis.testing import Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, sink_service, toy, until
from tests.resilience.killing import role

COPIES = "sink.copies"


async def copies(sink: Toy) -> list[tuple[str, int, int]]:
    rows = await sink.rows("SELECT thing_id, size, version FROM copies ORDER BY thing_id")
    return [(it["thing_id"], it["size"], it["version"]) for it in rows]


@pytest.mark.parametrize("place", ["consumer.after_projections:3", "consumer.after_projections:6"])
async def test_a_rebuild_whose_process_was_killed_goes_on_and_ends_with_the_right_rows(
    installation: Installation, place: str
) -> None:
    async with toy(sink_service(installation), installation) as sink, role(installation, "rebuild") as rebuilder:
        sink.consumer()
        for version in range(1, 4):
            for number in range(10):
                await installation.publish(ThingMadeV1(thing_id=f"t{number}", size=100 * version + number), version)

        async def acted(count: int = 30) -> bool:
            return bool(await sink.value("SELECT count(*) = $1 FROM effects", count))

        await until(acted)
        right = await copies(sink)
        admin = await asyncpg.connect(
            installation.admin_url, database=database_name(installation.settings, sink.service.name)
        )
        try:
            await admin.execute("UPDATE copies SET size = -1 WHERE thing_id < 't5'")
            spoilt = await copies(sink)
            await rebuilder.start(place)
            await rebuilder.killed()
            assert await copies(sink) == spoilt
            assert [it["projection"] for it in await unfinished(admin)] == [COPIES]
            done = await admin.fetchval("SELECT sum(next) FROM offsets WHERE consumer = 'rebuild:' || $1", COPIES)
            found = await rebuild(installation.admin_url, sink.service, COPIES)
            assert await unfinished(admin) == []
        finally:
            await admin.close()
        assert 0 < done < 30
        assert (found.resumed, found.records) == (True, 30 - done)
        assert found.differences[0].wrong == 5
        assert await copies(sink) == right
        assert await acted()

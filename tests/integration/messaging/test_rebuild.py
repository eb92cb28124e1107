"""A projection is built anew while the service runs: what the rows were before does not matter, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from chassis import rebuild as rebuilding
from chassis.database import Database, database_name
from chassis.operations.acts import Operator
from chassis.rebuild import Difference, RebuildError, abandon, checksums, rebuild, unfinished
from chassis.repair import discard, replay
from chassis.service import Projection
from chassis.testing import PASSWORD, Installation
from chassis.transaction import Connection
from tests.integration.messaging.facts import OwnerStateV1, ThingMadeV1
from tests.integration.messaging.services import (
    Behaviour,
    Toy,
    copy_owners,
    copy_things,
    sink_service,
    toy,
    until,
)

COPIES = "sink.copies"


@pytest.fixture
async def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
async def sink(installation: Installation, behaviour: Behaviour) -> AsyncIterator[Toy]:
    async with toy(sink_service(installation, behaviour), installation) as it:
        it.consumer()
        yield it


@asynccontextmanager
async def owner(sink: Toy) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A superuser's connection to the sink's database."""
    connection = await asyncpg.connect(
        sink.installation.admin_url, database=database_name(sink.installation.settings, "sink")
    )
    try:
        yield connection
    finally:
        await connection.close()


async def publish(sink: Toy, things: int, versions: range) -> None:
    for version in versions:
        for number in range(things):
            await sink.installation.publish(ThingMadeV1(thing_id=f"t{number}", size=100 * version + number), version)


async def effects(sink: Toy, count: int) -> bool:
    return bool(await sink.value("SELECT count(*) = $1 FROM effects", count))


async def copies(sink: Toy) -> dict[str, tuple[int, int]]:
    return {row["thing_id"]: (row["size"], row["version"]) for row in await sink.rows("SELECT * FROM copies")}


async def spoil(sink: Toy) -> None:
    """One row is missing, one is wrong, one should not be there."""
    async with owner(sink) as connection:
        await connection.execute("DELETE FROM copies WHERE thing_id = 't0'")
        await connection.execute("UPDATE copies SET size = -1 WHERE thing_id = 't1'")
        await connection.execute(
            "INSERT INTO copies (municipality, thing_id, size, version) VALUES ('999997', 'ghost', 1, 1)"
        )


async def letters(sink: Toy, count: int) -> list[dict[str, Any]] | None:
    found = await sink.rows('SELECT * FROM dead_letters WHERE closed_at IS NULL ORDER BY "offset"')
    return found if len(found) == count else None


async def test_wrong_rows_are_put_right_and_no_reaction_runs_again(installation: Installation, sink: Toy) -> None:
    await publish(sink, 4, range(1, 4))
    await installation.publish(OwnerStateV1(owner_id="o", name="花子", state_version=1), 1)
    await until(lambda: effects(sink, 12))
    right = await copies(sink)
    await spoil(sink)
    told: list[tuple[int, int]] = []
    found = await rebuild(
        installation.admin_url,
        sink.service,
        COPIES,
        progress=lambda done, total: told.append((done, total)),
        by=Operator("operator", "花"),
        reason="wrong sizes",
    )
    assert found.differences == (Difference("copies", missing=1, wrong=1, surplus=1),)
    assert found.records == 12
    assert told[-1] == (12, 12)
    assert await copies(sink) == right
    assert await effects(sink, 12)
    assert (await rebuild(installation.admin_url, sink.service, COPIES)).differences == (Difference("copies", 0, 0, 0),)
    async with owner(sink) as connection:
        assert await unfinished(connection) == []
        assert await connection.fetchval("SELECT count(*) FROM offsets WHERE consumer LIKE 'rebuild:%'") == 0
        assert await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rebuild%'") == 0
        acts = await connection.fetch("SELECT act, topic, operator, reason FROM operator_acts")
        assert [tuple(row) for row in acts] == [
            ("rebuilt", COPIES, "花", "wrong sizes"),
            ("rebuilt", COPIES, "", ""),
        ]


async def test_while_the_service_reads_a_topic_again_its_rows_are_not_put_back(
    installation: Installation, sink: Toy
) -> None:
    """As after ``taiwa republish``: it would skip as repeats what the rebuilt rows did not hold yet."""
    await publish(sink, 4, range(1, 4))
    await until(lambda: effects(sink, 12))
    right = await copies(sink)
    await sink.stop()
    await spoil(sink)
    async with owner(sink) as connection:
        await connection.execute("UPDATE offsets SET rebased_from = next, next = 0")
    rounds: list[int] = []
    rebuilt = asyncio.create_task(
        rebuild(installation.admin_url, sink.service, COPIES, progress=lambda done, _: rounds.append(done))
    )

    async def tried() -> bool:
        return rebuilt.done() or len(rounds) > 2

    await until(tried)
    sink.consumer()
    assert (await rebuilt).differences == (Difference("copies", missing=1, wrong=1, surplus=1),)
    assert await copies(sink) == right


async def test_a_dry_run_tells_the_difference_and_changes_nothing(installation: Installation, sink: Toy) -> None:
    await publish(sink, 3, range(1, 2))
    await until(lambda: effects(sink, 3))
    await spoil(sink)
    spoilt = await copies(sink)
    found = await rebuild(installation.admin_url, sink.service, COPIES, change=False)
    assert found.differences == (Difference("copies", 1, 1, 1),)
    assert await copies(sink) == spoilt


async def test_readers_see_all_old_rows_or_all_new_ones_while_events_go_on(
    installation: Installation, sink: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 7)
    await publish(sink, 10, range(1, 6))
    await until(lambda: effects(sink, 50))
    async with owner(sink) as connection:
        await connection.execute("UPDATE copies SET size = -1")
    seen: set[int] = set()

    async def read() -> None:
        reader = await Database.connect(installation.settings, "sink", "api", PASSWORD, 1)
        try:
            while True:
                async with reader.reading("999997") as connection:
                    rows = await connection.fetch("SELECT size FROM copies WHERE thing_id < 't5'")
                seen.add(sum(row["size"] < 0 for row in rows))
                assert len(rows) == 5
        finally:
            await reader.close()

    reading = asyncio.create_task(read())
    writing = asyncio.create_task(publish_more(sink))
    found = await rebuild(installation.admin_url, sink.service, COPIES)
    await writing
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled(), reading.exception()
    assert seen <= {0, 5}
    assert found.differences[0].wrong >= 5
    await until(lambda: effects(sink, 50 + 40))
    assert (await copies(sink))["t9"] == (100 * 13 + 9, 13)


async def publish_more(sink: Toy) -> None:
    """New versions of the five last things, while the first five stay as they are."""
    for version in range(6, 14):
        for number in range(5, 10):
            await sink.installation.publish(ThingMadeV1(thing_id=f"t{number}", size=100 * version + number), version)


async def test_a_rebuild_that_was_killed_goes_on_where_it_was(
    installation: Installation, sink: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 5)
    await publish(sink, 10, range(1, 4))
    await until(lambda: effects(sink, 30))
    right = await copies(sink)
    await spoil(sink)
    await interrupted(sink)
    async with owner(sink) as connection:
        assert [it["projection"] for it in await unfinished(connection)] == [COPIES]
        done = await connection.fetchval("SELECT sum(next) FROM offsets WHERE consumer = 'rebuild:' || $1", COPIES)
    assert 0 < done < 30
    found = await rebuild(installation.admin_url, sink.service, COPIES)
    assert found.resumed
    assert found.records == 30 - done
    assert await copies(sink) == right


class Interrupted(Exception):  # noqa: N818  stands for a kill
    pass


async def interrupted(sink: Toy) -> None:
    """A rebuild that ends at its first batch, as if it were killed."""
    took = rebuilding._Builder.took

    def dies(self: Any, partition: Any, at: int) -> None:
        took(self, partition, at)
        if self.applied:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rebuilding._Builder, "took", dies)
        with pytest.raises(Interrupted):
            await rebuild(sink.installation.admin_url, sink.service, COPIES)


async def test_an_abandoned_rebuild_leaves_no_trace_and_other_code_begins_again(
    installation: Installation, sink: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "BATCH", 5)
    await publish(sink, 10, range(1, 3))
    await until(lambda: effects(sink, 20))
    await interrupted(sink)
    assert await abandon(installation.admin_url, installation.settings, "sink", COPIES)
    assert not await abandon(installation.admin_url, installation.settings, "sink", COPIES)
    await interrupted(sink)
    monkeypatch.setattr(rebuilding, "_fingerprint", lambda _projections, _migrations: "of other code")
    found = await rebuild(installation.admin_url, sink.service, COPIES)
    assert not found.resumed
    assert found.records == 20


async def test_a_projection_that_fails_ends_its_rebuild_and_the_old_rows_stay(
    installation: Installation, sink: Toy
) -> None:
    await publish(sink, 2, range(1, 2))
    await until(lambda: effects(sink, 2))
    right = await copies(sink)

    async def fail(connection: Connection, records: Any) -> None:
        raise ZeroDivisionError("a defect")

    broken = replace(sink.service, projections=(Projection(COPIES, (ThingMadeV1,), fail),))
    with pytest.raises(RebuildError, match="ZeroDivisionError"):
        await rebuild(installation.admin_url, broken, COPIES)
    assert await copies(sink) == right


async def test_what_the_service_set_aside_is_passed_by_until_it_is_settled(
    installation: Installation, sink: Toy, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One letter is discarded, one stays open, one is applied while the rebuild runs: it ends where the service is."""
    behaviour.crash.add("no")
    for thing in ("given_up", "open", "replayed"):
        for version in range(1, 4):
            note = "no" if version == 2 else ""
            await installation.publish(ThingMadeV1(thing_id=thing, size=version, note=note), version)
    await publish(sink, 20, range(1, 2))
    await until(lambda: effects(sink, 3 + 20))
    found = await until(lambda: letters(sink, 6))
    dead = {row["aggregate"]: row["id"] for row in found if row["kind"] == "dead"}
    await discard(installation.admin_url, installation.settings, "sink", dead["thing/given_up"])
    await until(lambda: effects(sink, 3 + 20 + 1))
    async with owner(sink) as connection:
        await connection.execute("UPDATE copies SET size = -1")
    monkeypatch.setattr(rebuilding, "BATCH", 2)
    last = rebuilding._LastStep.attempt

    async def after_a_replay(self: Any) -> Any:
        monkeypatch.setattr(rebuilding._LastStep, "attempt", last)
        behaviour.crash.clear()
        await replay(installation.admin_url, installation.settings, "sink", dead["thing/replayed"])
        await until(lambda: effects(sink, 3 + 20 + 1 + 2))
        return await last(self)

    monkeypatch.setattr(rebuilding._LastStep, "attempt", after_a_replay)
    await rebuild(installation.admin_url, sink.service, COPIES)
    held = await copies(sink)
    assert (held["given_up"], held["open"], held["replayed"]) == ((3, 3), (1, 1), (3, 3))


async def test_states_are_rebuilt_to_the_end_of_their_topic(installation: Installation, sink: Toy) -> None:
    for version in range(1, 4):
        await installation.publish(OwnerStateV1(owner_id="o", name=f"n{version}", state_version=version), version)
    await installation.erase(OwnerStateV1, "owner/gone", 1)

    async def copied() -> bool:
        return bool(await sink.value("SELECT count(*) = 2 AND max(state_version) = 3 FROM owner_copies"))

    await until(copied)
    async with owner(sink) as connection:
        before = await checksums(connection, ["owner_copies"])
        await connection.execute("UPDATE owner_copies SET name = 'wrong'")
        assert await checksums(connection, ["owner_copies"]) != before
        await rebuild(installation.admin_url, sink.service, "sink.owner_copies")
        assert await checksums(connection, ["owner_copies"]) == before


async def test_a_name_that_is_no_projection_is_refused_with_those_there_are(
    installation: Installation, sink: Toy
) -> None:
    with pytest.raises(RebuildError, match=r"sink\.copies, sink\.owner_copies"):
        await rebuild(installation.admin_url, sink.service, "sink.nothing")


async def test_projections_that_share_a_table_are_rebuilt_together(installation: Installation) -> None:
    service = replace(
        sink_service(installation),
        projections=(
            Projection("sink.copies", (ThingMadeV1,), copy_things),
            Projection("sink.names", (OwnerStateV1,), copy_owners, tables=("owner_copies", "copies")),
            Projection("sink.owner_copies", (OwnerStateV1,), copy_owners),
            Projection("sink.apart", (OwnerStateV1,), copy_owners),
        ),
    )
    assert [it.name for it in rebuilding.together_with(service, "sink.owner_copies")] == [
        "sink.copies",
        "sink.names",
        "sink.owner_copies",
    ]

"""A consumer whose database was restored from an earlier time: it stops, and goes on as its operator says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chassis.consumer import loop
from chassis.operations import stops
from chassis.operations.acts import Operator
from chassis.repair import consumer_rebase, republish
from chassis.testing import Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import TOPICS, Toy, sink_service, source_service, toy, until

COMMAND = "taiwa consumer rebase sink"
BY = Operator("operator", "花")


async def effects(sink: Toy) -> list[tuple[str, int]]:
    return [
        (it["thing_id"], it["version"]) for it in await sink.rows("SELECT thing_id, version FROM effects ORDER BY id")
    ]


async def copies(sink: Toy) -> dict[str, int]:
    return {it["thing_id"]: it["version"] for it in await sink.rows("SELECT thing_id, version FROM copies")}


async def acted(sink: Toy, count: int) -> list[tuple[str, int]] | None:
    found = await effects(sink)
    return found if len(found) >= count else None


async def copied(sink: Toy, wanted: dict[str, int]) -> bool:
    return await copies(sink) == wanted


async def stopped(sink: Toy) -> list[dict[str, Any]]:
    return await sink.rows("SELECT scope, reason, command FROM stops")


async def go_back(sink: Toy) -> None:
    """The restored copy is from before the first record."""
    async with sink.worker.scoped("*") as connection:
        await connection.execute("UPDATE offsets SET next = 0, rebased_from = 0, acts_from = 0")
        for table in ("versions", "effects", "copies"):
            await connection.execute(f"DELETE FROM {table}")


async def publish(installation: Installation, version: int) -> None:
    for thing in "abc":
        await installation.publish(ThingMadeV1(thing_id=thing), version)


async def forgetful(sink: Toy, installation: Installation) -> None:
    """It acted on three records, ended, was restored, stands."""
    sink.consumer()
    await publish(installation, 1)
    await until(lambda: acted(sink, 3))
    await sink.stop()
    await go_back(sink)
    sink.consumer()
    found = await until(lambda: stopped(sink), 30)
    assert [(it["scope"], it["command"]) for it in found] == [("stopped", COMMAND)]
    assert "was restored from an earlier time" in found[0]["reason"]


async def test_it_stops_and_after_a_rebase_copies_what_it_forgot_and_acts_on_what_is_new(
    installation: Installation,
) -> None:
    settings, admin = installation.settings, installation.admin_url
    async with toy(sink_service(installation), installation) as sink:
        await forgetful(sink, installation)
        async with sink.worker.scoped("*") as connection:
            (standing,) = await stops.every(connection)
        assert (standing.cause, standing.resumable) == ("went_back", False)
        told = await consumer_rebase(admin, settings, "sink", dry_run=True)
        assert sum(it.until - it.since for it in told) == 3
        assert {it.topic for it in told} == {"source.events"}
        assert await effects(sink) == []
        assert [it["command"] for it in await stopped(sink)] == [COMMAND]

        assert await consumer_rebase(admin, settings, "sink", by=BY, reason="disk") == told
        await publish(installation, 2)
        await until(lambda: copied(sink, dict.fromkeys("abc", 2)), 30)
        assert sorted(await effects(sink)) == [("a", 2), ("b", 2), ("c", 2)]
        assert await stopped(sink) == []
        acts = await sink.rows("SELECT DISTINCT act, operator, reason, topic FROM operator_acts")
        assert acts == [{"act": "rebased", "operator": "花", "reason": "disk", "topic": "source.events"}]
        assert await sink.value("SELECT sum(acts_from) FROM offsets") == 0
        await sink.stop()
        sink.consumer()  # what an operator knows of is no reason to stop once more
        await publish(installation, 3)
        await until(lambda: acted(sink, 6), 30)
        assert await stopped(sink) == []


async def test_it_acts_again_where_the_operator_wants_that(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        await forgetful(sink, installation)
        await consumer_rebase(installation.admin_url, installation.settings, "sink", act=True, by=BY, reason="disk")
        assert sorted(await until(lambda: acted(sink, 3), 30) or []) == [("a", 1), ("b", 1), ("c", 1)]
        assert await sink.value("SELECT min(reason) FROM operator_acts") == "disk; acts again"


async def test_a_second_restore_is_noticed_too(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        await forgetful(sink, installation)
        await consumer_rebase(installation.admin_url, installation.settings, "sink")
        await publish(installation, 2)
        await until(lambda: acted(sink, 3), 30)
        await sink.stop()
        await go_back(sink)
        sink.consumer()
        await until(lambda: stopped(sink), 30)
        assert sum(it.until for it in await consumer_rebase(installation.admin_url, installation.settings, "sink")) == 6


async def test_one_that_runs_notices_it_while_no_record_comes(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOGS_EVERY", 3)
    monkeypatch.setattr(loop, "LAG_EVERY", 2)
    async with toy(sink_service(installation), installation) as sink:
        consumer = sink.consumer()
        await publish(installation, 1)
        await until(lambda: acted(sink, 3))
        await consumer._assignment.tell()
        await go_back(sink)
        assert [it["command"] for it in await until(lambda: stopped(sink), 30)] == [COMMAND]
        assert await effects(sink) == []


async def test_topics_made_anew_and_members_that_come_and_go_are_no_reason_to_stop(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offsets of the old log were told to Kafka; those of the new one begin below."""
    monkeypatch.setattr(loop, "LAG_EVERY", 1)
    monkeypatch.setattr(loop, "LOGS_EVERY", 2)
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        for version in range(1, 6):
            await source.make("a", version)
        await until(lambda: acted(sink, 5))
        specs = [spec for spec in TOPICS if spec.name.startswith("source.")]
        await republish(installation.admin_url, installation.settings, "source", specs, ["sink"])
        sink.consumer()
        for version in range(6, 30):
            await source.make("a", version)
            await asyncio.sleep(0.05)  # paced: so that commits and positions overlap
        await until(lambda: acted(sink, 29), 60)
        assert await effects(sink) == [("a", version) for version in range(1, 30)]
        assert await stopped(sink) == []

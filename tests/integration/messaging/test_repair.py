"""What an operator does: republish after Kafka was lost, rebase after a restore."""

from __future__ import annotations

import asyncpg
import pytest

from chassis.database import database_name
from chassis.relay import loop as relay_loop
from chassis.repair import relay_rebase, republish
from chassis.testing import Installation
from chassis.topics import TopicSpec, generations
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import TOPICS, Toy, sink_service, source_service, toy, until


async def applied(sink: Toy, count: int) -> bool:
    return bool(await sink.value("SELECT count(*) >= $1 FROM effects", count))


async def published(installation: Installation, count: int) -> bool:
    return len(await installation.facts_on("source.events")) >= count


async def test_a_republished_log_repeats_no_effect_and_new_facts_go_on(installation: Installation) -> None:
    """While everything runs: topics are made anew, the relay publishes all again, the consumer drops repeats."""
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        for version in range(1, 6):
            await source.make("a", version)
        await until(lambda: applied(sink, 5))
        count = await republish(
            installation.admin_url,
            installation.settings,
            "source",
            [TopicSpec("source.events"), TopicSpec("source.owners", compacted=True)],
            ["sink"],
        )
        assert count == 5
        assert (await generations(installation.settings))["source.events"] == 2
        await until(lambda: published(installation, 5), 30)
        await source.make("a", 6)
        await until(lambda: applied(sink, 6), 60)
        assert [it["version"] for it in await sink.rows("SELECT version FROM effects ORDER BY id")] == [
            1,
            2,
            3,
            4,
            5,
            6,
        ]
        assert await sink.rows("SELECT * FROM stops") == []
        assert len(TOPICS) == 3


async def test_a_log_restored_into_another_postgresql_goes_on_after_a_rebase(installation: Installation) -> None:
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        await source.make("a", 1)
        await until(lambda: applied(sink, 1))
        await source.stop()
        await source.make("a", 2)
        # As after dump and restore: ids of another, longer-lived cluster, and its identifier.
        admin = await asyncpg.connect(installation.admin_url, database=database_name(installation.settings, "source"))
        try:
            await admin.execute("UPDATE event_log SET xid = (xid::text::bigint + 1000000000)::text::xid8")
            await admin.execute("UPDATE relay_place SET system_identifier = 'another', prev = '2000000000:2000000000:'")
        finally:
            await admin.close()
        relay = source.relay()

        async def refused() -> bool:
            return relay.refusal is not None and "taiwa relay rebase" in relay.refusal

        await until(refused)
        assert await relay_rebase(installation.admin_url, installation.settings, "source") >= 1
        await until(lambda: applied(sink, 2), 30)
        await source.make("a", 3)
        await until(lambda: applied(sink, 3))
        assert [it["version"] for it in await sink.rows("SELECT version FROM effects ORDER BY id")] == [1, 2, 3]


@pytest.mark.parametrize("rebased", [True, False])
async def test_a_log_restored_into_another_postgresql_can_be_republished_whole(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, *, rebased: bool
) -> None:
    """Rows that were published before the restore bear ids which the new cluster will not give for long."""
    monkeypatch.setattr(relay_loop, "PAGE", 2)
    async with toy(source_service(installation), installation) as source:
        source.relay()
        for version in range(1, 8):
            await source.make("a", version)
        await until(lambda: published(installation, 7))
        await source.stop()
        admin = await asyncpg.connect(installation.admin_url, database=database_name(installation.settings, "source"))
        try:
            await admin.execute("UPDATE event_log SET xid = (xid::text::bigint + 1000000000)::text::xid8")
            await admin.execute("UPDATE relay_place SET system_identifier = 'another', prev = '2000000000:2000000000:'")
        finally:
            await admin.close()
        if rebased:
            await relay_rebase(installation.admin_url, installation.settings, "source")
        await republish(installation.admin_url, installation.settings, "source", [TopicSpec("source.events")], [])
        source.relay()
        await until(lambda: published(installation, 7), 30)


async def test_republishing_forgets_the_letters_of_the_old_log(installation: Installation) -> None:
    """A gap's letter would come before the events that were missing, and they would wait behind it for ever."""
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        for version in range(1, 4):
            await source.make("a", version)
        sink.consumer()
        rows = await source.rows("SELECT event_id, payload FROM event_log WHERE version = 3")
        await installation.publish(ThingMadeV1(thing_id="a"), 3, event_id=rows[0]["event_id"])

        async def set_aside() -> bool:
            return bool(await sink.value("SELECT true FROM dead_letters WHERE code = 'event.version_gap'"))

        await until(set_aside)
        specs = [TopicSpec("source.events"), TopicSpec("source.owners", compacted=True)]
        await republish(installation.admin_url, installation.settings, "source", specs, ["sink"])
        source.relay()
        await until(lambda: applied(sink, 3), 60)
        assert await sink.value("SELECT count(*) FROM dead_letters WHERE closed_at IS NULL") == 0
        assert await sink.value("SELECT sum(open_letters) FROM offsets") == 0

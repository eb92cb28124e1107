"""A relay leads only where its topics fit its log."""

from __future__ import annotations

import asyncpg
import pytest
from aiokafka.admin import NewPartitions

from chassis.database import database_name
from chassis.kafka import admin_client
from chassis.relay import Relay
from chassis.relay import loop as relay_loop
from chassis.repair import republish
from chassis.testing import Installation
from tests.integration.messaging.services import TOPICS, Toy, sink_service, source_service, toy, until


async def refusal_of(relay: Relay) -> str:
    async def refused() -> str | None:
        return relay.refusal

    return await until(refused, 30)


async def published(it: Toy, count: int) -> None:
    async def there() -> bool:
        return len(await it.installation.facts_on("source.events")) >= count

    await until(there, 30)


async def test_a_relay_refuses_topics_with_more_partitions(installation: Installation) -> None:
    """Keys would change their partition, and the order within a key would be lost."""
    async with toy(source_service(installation), installation) as it:
        topic = f"{installation.settings.prefix}source.events"
        async with admin_client(installation.settings) as admin:
            await admin.create_partitions({topic: NewPartitions(13)})

            async def raised() -> bool:  # the broker tells of it a moment after it has done it
                return len((await admin.describe_topics([topic]))[0]["partitions"]) == 13

            await until(raised)
        await it.make("a", 1)
        refusal = await refusal_of(it.relay())
        assert "13 partitions, not 12" in refusal
        assert refusal.endswith("run: taiwa republish source")
        assert await installation.facts_on("source.events") == []


async def test_a_relay_that_leads_notices_that_a_topic_was_given_more_partitions(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it does it keeps to the partitions that it began with, so that no key changes its place."""
    monkeypatch.setattr(relay_loop, "LOOK_SECONDS", 0.5)
    async with toy(source_service(installation), installation) as it:
        relay = it.relay()
        await it.make("a", 1)
        await published(it, 1)
        async with admin_client(installation.settings) as admin:
            await admin.create_partitions({f"{installation.settings.prefix}source.events": NewPartitions(13)})
        refusal = await refusal_of(relay)
        assert "13 partitions, not 12" in refusal
        assert refusal.endswith("run: taiwa republish source")


async def test_a_relay_refuses_where_the_database_was_restored_into_the_same_cluster(
    installation: Installation,
) -> None:
    """The commands since the backup are gone, but Kafka and the consumers have their events."""
    async with (
        toy(source_service(installation), installation) as it,
        toy(sink_service(installation), installation) as sink,
    ):
        it.relay()
        await it.make("a", 1)
        await it.make("a", 2)
        await published(it, 2)
        await it.stop()
        name = database_name(installation.settings, "source")
        admin = await asyncpg.connect(installation.admin_url, database=name)
        try:
            await admin.execute("DELETE FROM event_log WHERE version = 2")
        finally:
            await admin.close()
        relays = [it.relay(), it.relay()]
        refusal, _ = [await refusal_of(relay) for relay in relays]
        assert "thing/a in version 2" in refusal
        assert refusal.endswith("run: taiwa republish source")
        specs = [spec for spec in TOPICS if spec.name.startswith("source.")]
        await republish(installation.admin_url, installation.settings, "source", specs, [sink.service.name])

        async def leads() -> bool:
            # Also of the one that does not lead: nothing stands still any more.
            mended = all(relay.refusal is None for relay in relays)
            return mended and len(await installation.facts_on("source.events")) == 1

        await until(leads, 30)

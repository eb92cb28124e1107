"""The consumer's own places: offsets, versions, restarts, rebalances, other logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete

from chassis.civil_clock import civil_clock_projection
from chassis.consumer import halts, loop
from chassis.consumer.decide import Verdict
from chassis.consumer.ledger import Ledger, Offset, Partition
from chassis.kafka import admin_client
from chassis.metrics import CONSUMER_RECORDS
from chassis.repair import republish
from chassis.service import Service
from chassis.testing import MIDORI, Installation, eventually
from chassis.topics import TopicSpec, delete_topics, ensure_topics, generations, wanted_config
from chassis.transaction import Connection, key_hash
from taiwa_contracts.event import Event, Instant
from tests.integration.messaging.facts import OwnerStateV1, ThingMadeV1
from tests.integration.messaging.services import (
    HERE,
    TOPICS,
    Toy,
    ToySettings,
    sink_service,
    source_service,
    toy,
    until,
)

NEVER = 10**9
"""Watches until Kafka is told."""


async def effects(sink: Toy, count: int) -> list[tuple[str, int]] | None:
    rows = await sink.rows("SELECT thing_id, version FROM effects ORDER BY id")
    found = [(it["thing_id"], it["version"]) for it in rows]
    return found if len(found) >= count else None


async def test_a_restarted_consumer_goes_on_where_it_stood(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        await sink.stop()
        await installation.publish(ThingMadeV1(thing_id="a"), 2)
        sink.consumer()
        assert await until(lambda: effects(sink, 2)) == [("a", 1), ("a", 2)]


async def test_a_partition_held_back_while_its_batch_is_in_hand_goes_on_afterwards(installation: Installation) -> None:
    """Another topic came, so the logs are looked at anew, while a batch waits for its lock: its end is no resumption.

    The partition stood still for ever otherwise, without a word: paused, and taken for positioned.
    """
    async with toy(sink_service(installation), installation) as sink:
        consumer = sink.consumer()
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        async with sink.worker.scoped("*") as locking:
            await locking.execute("SELECT FROM offsets FOR UPDATE")
            await installation.publish(ThingMadeV1(thing_id="a"), 2)
            await eventually(consumer._assignment.in_hand.locked)
            await ensure_topics(installation.settings, [TopicSpec("another.events")])
            try:
                looking = asyncio.create_task(consumer._assignment.look_at_logs())
                await eventually(lambda: not any(consumer._assignment.expected.values()))
            finally:
                await delete_topics(installation.settings, ["another.events"])
        await looking
        await until(lambda: effects(sink, 2))
        await installation.publish(ThingMadeV1(thing_id="a"), 3)
        assert await until(lambda: effects(sink, 3)) == [("a", 1), ("a", 2), ("a", 3)]


async def test_two_consumers_share_the_partitions_and_hand_them_over_without_repeating(
    installation: Installation,
) -> None:
    """A second process joins and leaves while events flow; each takes effect once, in order."""
    keys, versions = 8, 12
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()

        async def publish() -> None:
            for version in range(1, versions + 1):
                for number in range(keys):
                    await installation.publish(ThingMadeV1(thing_id=f"k{number}"), version)

        async def join_and_leave() -> None:
            other = Toy(sink.service, installation, sink.api, sink.worker)
            other.consumer()
            await asyncio.sleep(4)  # paced: long enough for two rebalances under load
            await other.stop()

        await asyncio.gather(publish(), join_and_leave())
        found = await until(lambda: effects(sink, keys * versions), 40)
        by_key: dict[str, list[int]] = {}
        for thing, version in found:
            by_key.setdefault(thing, []).append(version)
        assert set(map(tuple, by_key.values())) == {tuple(range(1, versions + 1))}


async def test_a_zombies_late_batch_is_dropped_by_the_locked_offset(installation: Installation) -> None:
    """The process that was paused holds records that another one has applied since."""
    async with toy(sink_service(installation), installation) as sink:
        zombie = sink.consumer()
        handed: list[Any] = []
        together = zombie._batches.together

        async def keep(deliveries: Any) -> None:
            handed.append(deliveries)
            await together(deliveries)

        zombie._batches.together = keep  # type: ignore[method-assign]  # the zombie's hand is looked into
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        skipped = CONSUMER_RECORDS.labels("sink", Verdict.SKIP.value)._value.get()
        await together(handed[0])
        await zombie._batches.one(handed[0][0])
        assert await effects(sink, 1) == [("a", 1)]
        assert CONSUMER_RECORDS.labels("sink", Verdict.SKIP.value)._value.get() == skipped + 2


async def test_a_topic_that_was_made_anew_stops_the_consumer_with_the_command(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()
        for version in range(1, 4):
            await installation.publish(ThingMadeV1(thing_id="a"), version)
        await until(lambda: effects(sink, 3))
        await sink.stop()
        await delete_topics(installation.settings, ["source.events"])
        await ensure_topics(installation.settings, TOPICS)
        assert (await generations(installation.settings))["source.events"] == 2
        sink.consumer()

        async def stopped() -> list[dict[str, Any]] | None:
            return await sink.rows("SELECT scope, reason, command FROM stops") or None

        (stop,) = await until(stopped)
        assert stop["scope"] == "stopped"
        assert stop["command"] == "taiwa republish source"
        assert "generation" in stop["reason"]


async def test_a_running_consumer_goes_on_once_its_topic_was_republished(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not hold what it knew of the log before against what the operator has mended."""
    monkeypatch.setattr(halts, "PROBE_SECONDS", 1e9)  # no probe shall be what helps
    async with (
        toy(sink_service(installation), installation) as sink,
        toy(source_service(installation), installation) as source,
    ):
        source.relay()
        sink.consumer()
        await source.make("a", 1)
        await until(lambda: effects(sink, 1))
        await delete_topics(installation.settings, ["source.events"])
        await ensure_topics(installation.settings, TOPICS)

        async def stopped() -> bool:
            return bool(await sink.rows("SELECT reason FROM stops"))

        await until(stopped, 40)
        specs = [spec for spec in TOPICS if spec.name.startswith("source.")]
        await republish(installation.admin_url, installation.settings, "source", specs, ["sink"])
        await source.make("a", 2)
        assert await until(lambda: effects(sink, 2), 40) == [("a", 1), ("a", 2)]
        assert not await stopped()


async def test_another_process_that_gets_on_meanwhile_is_no_reason_to_stop(installation: Installation) -> None:
    """Between the looks at the log and at the offset both move on: the log does not end before the offset."""
    async with toy(sink_service(installation), installation) as sink:
        consumer = sink.consumer()
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        assignment, partition = consumer._assignment, ("source.events", key_hash(MIDORI, "thing/a") % 12)
        ledger = assignment._ledger

        class OfAnother(Ledger):
            """Where the offset is read, somebody has just dealt with one more record."""

            async def lock(self, connection: Connection, partitions: Sequence[Partition]) -> dict[Partition, Offset]:
                await installation.publish(ThingMadeV1(thing_id="a"), 2)
                rows = await super().lock(connection, partitions)
                rows[partition].next += 1
                return rows

        assert assignment.client is not None
        assignment.client.pause(assignment.kafka(partition))  # it is the other who deals with it
        assignment._ledger = OfAnother("sink")
        await assignment.position([partition])
        assignment._ledger = ledger
        assert consumer.halts.stopped is None


async def test_a_topic_with_more_partitions_stops_the_consumer_with_the_command(installation: Installation) -> None:
    """Keys would change their partition, and the order within a key would be lost."""
    async with toy(sink_service(installation), installation) as sink:
        async with admin_client(installation.settings) as admin:
            await admin.create_partitions({f"{installation.settings.prefix}source.events": NewPartitions(13)})
        sink.consumer()

        async def stopped() -> list[dict[str, Any]] | None:
            return await sink.rows("SELECT scope, reason, command FROM stops") or None

        (stop,) = await until(stopped, 30)
        assert (stop["scope"], stop["command"]) == ("stopped", "taiwa republish source")
        assert "more than 12 partitions" in stop["reason"]


async def test_a_topic_made_anew_under_a_running_consumer_is_noticed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand, and with more records than before: no offset is out of range, no generation was registered."""
    monkeypatch.setattr(loop, "LOGS_EVERY", 2)
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        await delete_topics(installation.settings, ["source.events"])
        async with admin_client(installation.settings) as admin:
            config = wanted_config(TopicSpec("source.events"))
            name = f"{installation.settings.prefix}source.events"
            await admin.create_topics([NewTopic(name, 12, 1, topic_configs=config)])

        async def stopped() -> list[dict[str, Any]] | None:
            return await sink.rows("SELECT reason, command FROM stops") or None

        (stop,) = await until(stopped, 30)
        assert stop["command"] == "taiwa republish source"
        assert "generation" in stop["reason"]


async def test_what_was_applied_is_shown_to_the_api_of_its_town_only(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()
        event_id = await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        statement = "SELECT owner, aggregate, version, event_id FROM versions WHERE consumer = 'sink'"
        async with sink.api.reading("999997") as connection:
            assert [tuple(row) for row in await connection.fetch(statement)] == [("source", "thing/a", 1, event_id)]
        async with sink.api.reading("999989") as connection:
            assert await connection.fetch(statement) == []


async def test_kafka_is_told_the_offsets_so_that_lag_can_be_displayed(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        consumer = sink.consumer()
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        await until(lambda: effects(sink, 1))
        assert await consumer._assignment.lag() == {"source.events": 0, "source.owners": 0}


class ClockSetV1(Event):
    """A jump of the simulated clock."""

    TYPE: ClassVar[str] = "taiwa.source.clock-set.v1"
    TOPIC: ClassVar[str] = "source.events"
    AGGREGATE: ClassVar[str] = "clock"
    KEY: ClassVar[tuple[str, ...]] = ()
    civil_at: Instant
    machine_at: Instant


async def test_the_newest_jump_of_the_civil_clock_holds_for_the_whole_installation(
    installation: Installation,
) -> None:
    service = Service(
        name="sink",
        title="sink",
        settings=ToySettings(installation=installation.settings, database_password="x"),
        migrations=HERE / "sink" / "migrations",
        projections=(civil_clock_projection(ClockSetV1, "sink.civil_clock"),),
    )
    newest = datetime(2026, 5, 1, tzinfo=UTC)
    async with toy(service, installation) as sink:
        sink.consumer()
        for version, machine in enumerate((2, 3, 1), start=1):
            jump = ClockSetV1(civil_at=newest.replace(month=machine + 3), machine_at=newest.replace(day=machine))
            await installation.publish(jump, version, municipality="000000", event_id=uuid4())

        async def all_seen() -> bool:
            return bool(await sink.value("SELECT version = 3 FROM versions"))

        await until(all_seen)
        assert await sink.value("SELECT civil_at FROM civil_clock") == newest.replace(month=6)


async def test_a_database_restored_under_an_idle_consumer_is_filled_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No new record comes to tell that the stored offset went back; Kafka was not told of it yet."""
    monkeypatch.setattr(loop, "LOGS_EVERY", 1)
    monkeypatch.setattr(loop, "LAG_EVERY", NEVER)
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()
        for version in range(1, 4):
            await installation.publish(ThingMadeV1(thing_id="a"), version)
        await until(lambda: effects(sink, 3))
        async with sink.worker.scoped("*") as connection:
            await connection.execute("DELETE FROM versions")
            await connection.execute("DELETE FROM effects")
            await connection.execute("UPDATE offsets SET next = 0")
        assert await until(lambda: effects(sink, 3), 30) == [("a", 1), ("a", 2), ("a", 3)]


async def test_records_that_were_deleted_before_an_idle_consumer_read_them_stop_it(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client jumps in silence, and no new record comes to tell."""
    monkeypatch.setattr(loop, "LOGS_EVERY", 1)
    place = TopicPartition(f"{installation.settings.prefix}source.events", key_hash(MIDORI, "thing/a") % 12)
    async with toy(sink_service(installation), installation) as sink:
        consumer = sink.consumer()

        async def reads() -> bool:
            return consumer._assignment.expected.get(("source.events", place.partition)) == 0

        await until(reads)
        client = consumer._assignment.client
        assert client is not None
        client.pause(place)
        await installation.publish(ThingMadeV1(thing_id="a"), 1)
        async with admin_client(installation.settings) as admin:
            await admin.delete_records({place: RecordsToDelete(before_offset=1)})
        client.resume(place)

        async def stopped() -> list[dict[str, Any]] | None:
            return await sink.rows("SELECT reason, command FROM stops") or None

        (stop,) = await until(stopped, 15)
        assert "begins at offset 1, after 0" in stop["reason"]
        assert stop["command"] == "taiwa republish source"


async def test_a_hole_that_a_restored_database_makes_in_states_is_filled_again(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record comes after the restore; what stands between it and the stored offset was not taken by compaction."""
    monkeypatch.setattr(loop, "LAG_EVERY", NEVER)
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()

        async def copies(count: int) -> list[dict[str, Any]] | None:
            rows = await sink.rows("SELECT owner_id, name FROM owner_copies ORDER BY owner_id")
            return rows if len(rows) == count else None

        # Both on one partition.
        names = [name for name in map(str, range(100)) if key_hash(MIDORI, f"owner/{name}") % 12 == 0][:2]
        await installation.publish(OwnerStateV1(owner_id=names[0], name="first", state_version=1), 1)
        await until(lambda: copies(1))
        async with sink.worker.scoped("*") as connection:
            await connection.execute("DELETE FROM owner_copies")
            await connection.execute("UPDATE offsets SET next = 0 WHERE topic = 'source.owners'")
        await installation.publish(OwnerStateV1(owner_id=names[1], name="second", state_version=1), 1)
        assert [row["name"] for row in await until(lambda: copies(2), 20)] == ["first", "second"]


async def test_a_consumer_does_not_begin_with_a_log_that_lacks_its_beginning(installation: Installation) -> None:
    for version in range(1, 4):
        await installation.publish(ThingMadeV1(thing_id="a"), version)
    place = TopicPartition(f"{installation.settings.prefix}source.events", key_hash(MIDORI, "thing/a") % 12)
    async with admin_client(installation.settings) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=2)})
    async with toy(sink_service(installation), installation) as sink:
        sink.consumer()

        async def stopped() -> list[dict[str, Any]] | None:
            return await sink.rows("SELECT reason, command FROM stops") or None

        (stop,) = await until(stopped)
        assert "begins at offset 2, after 0" in stop["reason"]
        assert stop["command"] == "taiwa republish source"
        assert await effects(sink, 0) == []

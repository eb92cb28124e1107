"""From a committed transaction through Kafka into another service's database."""

from __future__ import annotations

import asyncio
import random
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from chassis.relay import loop as relay_loop
from chassis.relay.log import EventLog
from chassis.testing import MIDORI, OTHER_TOWN, FactOnTopic, Installation
from tests.integration.messaging.facts import OwnerStateV1, ThingMadeV1
from tests.integration.messaging.services import Toy, sink_service, source_service, toy, until


async def copied(sink: Toy, wanted: set[tuple[str, str, int]]) -> bool:
    rows = await sink.rows("SELECT municipality, thing_id, size FROM copies")
    return {(it["municipality"], it["thing_id"], it["size"]) for it in rows} == wanted


async def facts(installation: Installation, topic: str, count: int) -> list[FactOnTopic] | None:
    found = await installation.facts_on(topic)
    return found if len(found) >= count else None


async def test_a_committed_fact_is_copied_and_answered_by_another_service(installation: Installation) -> None:
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        sink.relay()
        await source.make("bridge", 1, size=3)
        await source.make("bridge", 2, size=4)
        await source.make("bridge", 1, size=9, municipality=OTHER_TOWN)

        await until(lambda: copied(sink, {(MIDORI, "bridge", 4), (OTHER_TOWN, "bridge", 9)}))
        effects = await sink.rows("SELECT municipality, version, seen_municipality FROM effects ORDER BY id")
        assert [it["version"] for it in effects if it["municipality"] == MIDORI] == [1, 2]
        assert all(it["municipality"] == it["seen_municipality"] for it in effects)
        answers = await until(lambda: facts(installation, "sink.events", 3))
        assert {(it.municipality, it.aggregate) for it in answers} == {
            (MIDORI, "answer/bridge:1"),
            (MIDORI, "answer/bridge:2"),
            (OTHER_TOWN, "answer/bridge:1"),
        }


async def test_a_record_bears_the_attributes_of_cloudevents(installation: Installation) -> None:
    async with toy(source_service(installation), installation) as source:
        source.relay()
        await source.make("bridge", 1, note="橋")
        (fact,) = await until(lambda: facts(installation, "source.events", 1))
        (row,) = await source.rows("SELECT * FROM event_log")
        assert fact.headers["ce_specversion"] == "1.0"
        assert fact.headers["ce_id"] == str(row["event_id"])
        assert fact.headers["ce_source"] == "/taiwa/source"
        assert fact.headers["ce_subject"] == "thing/bridge"
        assert fact.headers["ce_time"] == row["occurred_at"].isoformat()
        assert fact.headers["ce_correlationid"] == str(row["correlation_id"])
        assert fact.headers["content-type"] == "application/json"
        assert fact.key == f"{MIDORI}/thing/bridge"
        assert fact.value == {"thing_id": "bridge", "size": 0, "note": "橋"}


async def test_many_writers_lose_nothing_and_invert_nothing(installation: Installation) -> None:
    """Rows become visible in another order than their positions; ``position > last`` lost a tenth of them here."""
    writers, each = 16, 40
    async with toy(source_service(installation), installation) as source:
        source.relay()

        async def write(number: int) -> None:
            chance = random.Random(number)  # noqa: S311  jitter
            for version in range(1, each + 1):
                async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
                    transaction.emit(ThingMadeV1(thing_id=f"w{number}", size=version), version=version)
                    await transaction.flush()
                    await asyncio.sleep(chance.random() * 0.01)  # paced: transactions shall overlap

        await asyncio.gather(*(write(number) for number in range(writers)))
        found = await until(lambda: facts(installation, "source.events", writers * each), 30)
        by_thing: dict[str, list[int]] = {}
        for fact in found:
            by_thing.setdefault(fact.aggregate, []).append(fact.version)
        assert {tuple(versions) for versions in by_thing.values()} == {tuple(range(1, each + 1))}
        assert len(by_thing) == writers


async def test_a_second_relay_waits_and_takes_over(installation: Installation) -> None:
    async with (
        toy(source_service(installation), installation) as source,
        toy(source_service(installation), installation) as other,
    ):
        source.relay()
        await source.make("bridge", 1)
        await until(lambda: facts(installation, "source.events", 1))
        other.relay()
        await source.stop()
        await other.make("bridge", 2)
        found = await until(lambda: facts(installation, "source.events", 2))
        assert [it.version for it in found] == [1, 2]


async def test_a_state_travels_as_its_present_row_and_its_erasure_as_a_tombstone(installation: Installation) -> None:
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
            await transaction.connection.execute("INSERT INTO owners VALUES ($1, 'o1', '髙橋', 1)", MIDORI)
            transaction.emit_state(OwnerStateV1, "owner/o1", version=1)

        async def named() -> bool:
            return bool(await sink.value("SELECT name FROM owner_copies") == "髙橋")

        await until(named)
        async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
            await transaction.connection.execute("DELETE FROM owners")
            transaction.emit_state(OwnerStateV1, "owner/o1", version=2)

        async def erased() -> bool:
            return await sink.rows("SELECT name FROM owner_copies") == [{"name": None}]

        await until(erased)
        assert await source.value("SELECT count(*) FROM event_log WHERE payload IS NOT NULL") == 0
        assert (await installation.facts_on("source.owners"))[-1].value is None


async def test_a_trace_is_unbroken_from_the_command_to_the_reactions_own_event(installation: Installation) -> None:
    tracer = TracerProvider().get_tracer("test")
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        source.relay()
        sink.consumer()
        sink.relay()
        correlation = uuid4()
        with tracer.start_as_current_span("command") as span:
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            async with source.api.transaction(MIDORI, source.SYSTEM, correlation_id=correlation) as transaction:
                cause = transaction.emit(ThingMadeV1(thing_id="bridge"), version=1)
        (answer,) = await until(lambda: facts(installation, "sink.events", 1))
        assert answer.headers["traceparent"].split("-")[1] == trace_id
        assert answer.headers["ce_causationid"] == str(cause)
        assert answer.headers["ce_correlationid"] == str(correlation)


async def test_a_relay_that_leads_notices_that_kafka_is_another_cluster(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its producer may go on as if nothing had happened, on topics that were made anew."""
    monkeypatch.setattr(relay_loop, "LOOK_SECONDS", 0.1)
    async with toy(source_service(installation), installation) as source:
        relay = source.relay()
        await source.make("a", 1)
        await until(lambda: facts(installation, "source.events", 1))

        async def another(_: object) -> str:
            return "another"

        monkeypatch.setattr(relay_loop, "cluster_id", another)

        async def refused() -> bool:
            return relay.refusal is not None and "taiwa republish" in relay.refusal

        await until(refused)


async def test_a_page_that_was_asked_for_long_ago_is_not_published_without_the_lock(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between asking and publishing the process may have stood, and the topics may have been made anew."""
    async with toy(source_service(installation), installation) as source:
        await source.make("a", 1)
        relay = source.relay()
        lead: list[bool] = []

        async def leads(_: EventLog) -> bool:
            lead.append(len(lead) > 1)  # the first is asked when it begins to lead
            return not lead[:-1] or lead[-1]

        monkeypatch.setattr(relay_loop, "TRUSTED_SECONDS", -1.0)
        monkeypatch.setattr(EventLog, "leads", leads)
        await until(lambda: facts(installation, "source.events", 1))
        assert lead[1:3] == [False, True]
        assert relay.refusal is None

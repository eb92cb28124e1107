"""From a committed transaction through Kafka into another service's database."""

from __future__ import annotations

from chassis.testing import MIDORI, OTHER_TOWN, FactOnTopic, Installation, eventually
from tests.integration.messaging.services import Toy, sink_service, source_service, toy


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

        await eventually(lambda: _copied(sink, {(MIDORI, "bridge", 4), (OTHER_TOWN, "bridge", 9)}))
        effects = await sink.rows("SELECT municipality, version, seen_municipality FROM effects ORDER BY id")
        assert [it["version"] for it in effects if it["municipality"] == MIDORI] == [1, 2]
        assert all(it["municipality"] == it["seen_municipality"] for it in effects)
        answers = await eventually(lambda: _answers(installation, 3))
        assert {(it.municipality, it.aggregate) for it in answers} == {
            (MIDORI, "answer/bridge:1"),
            (MIDORI, "answer/bridge:2"),
            (OTHER_TOWN, "answer/bridge:1"),
        }


async def _copied(sink: Toy, wanted: set[tuple[str, str, int]]) -> bool:
    rows = await sink.rows("SELECT municipality, thing_id, size FROM copies")
    return {(it["municipality"], it["thing_id"], it["size"]) for it in rows} == wanted


async def _answers(installation: Installation, count: int) -> list[FactOnTopic] | None:
    facts = await installation.facts_on("sink.events")
    return facts if len(facts) == count else None

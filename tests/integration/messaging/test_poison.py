"""Records that can never be applied, and what becomes of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from chassis.clocks import machine_now
from chassis.dead_letters import headers_of
from chassis.repair import clear_stop, discard, replay
from chassis.testing import MIDORI, Installation, eventually
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Behaviour, Toy, sink_service, toy, until

KEY = f"{MIDORI}/thing/bad".encode()


def headers(**changes: str | bytes | None) -> list[tuple[str, bytes | None]]:
    """The headers of a good record of the thing ``bad``; ``None`` makes one null, ``absent`` leaves it out."""
    attributes: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": ThingMadeV1.TYPE,
        "ce_source": "/taiwa/source",
        "ce_subject": "thing/bad",
        "ce_time": machine_now().isoformat(),
        "ce_sequence": "1",
        "ce_municipality": MIDORI,
        "ce_correlationid": str(uuid4()),
        **changes,
    }
    return [
        (name, value.encode() if isinstance(value, str) else value)
        for name, value in attributes.items()
        if value != "absent"
    ]


def raw(**given: Any) -> dict[str, Any]:
    """A raw record of the thing ``bad``."""
    return {"key": KEY, "value": ThingMadeV1(thing_id="bad").write().encode(), "headers": headers(), **given}


async def letters(sink: Toy, count: int, kind: str = "dead") -> list[dict[str, Any]] | None:
    found = await sink.rows(
        "SELECT * FROM dead_letters WHERE kind = $1 AND closed_at IS NULL ORDER BY written_at", kind
    )
    return found if len(found) >= count else None


async def effects(sink: Toy, thing: str, count: int) -> list[int] | None:
    found = [
        it["version"] for it in await sink.rows("SELECT version FROM effects WHERE thing_id = $1 ORDER BY id", thing)
    ]
    return found if len(found) >= count else None


@pytest.fixture
async def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
async def sink(installation: Installation, behaviour: Behaviour) -> AsyncIterator[Toy]:
    async with toy(sink_service(installation, behaviour), installation) as it:
        it.consumer()
        yield it


async def good(installation: Installation, sink: Toy) -> None:
    """Another key goes on, and every partition with it."""
    await installation.publish(ThingMadeV1(thing_id="good"), 1)
    await until(lambda: effects(sink, "good", 1))


UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("event.payload_invalid", raw(value=b"{no json")),
    ("event.payload_invalid", raw(value=b'{"thing_id": "bad", "size": NaN}')),
    ("event.payload_invalid", raw(value=b'{"thing_id": "bad", "unknown": NaN}')),
    ("event.payload_invalid", raw(value=b'{"size": 1}')),
    ("event.payload_invalid", raw(value=b"\xff\xfe")),
    ("event.too_large", raw(value=b'{"thing_id": "bad", "note": "' + b"x" * 1_000_000 + b'"}')),
    ("event.value_missing", raw(value=None)),
    ("event.type_missing", raw(headers=headers(ce_type="absent"))),
    ("event.type_missing", raw(headers=headers(ce_type=None))),
    ("event.version_unknown", raw(headers=headers(ce_type="taiwa.source.thing-made.v9"))),
    ("event.municipality_invalid", raw(headers=headers(ce_municipality="123456"))),
    ("event.municipality_invalid", raw(headers=headers(ce_municipality="みどり町"))),
    ("event.key_missing", raw(key=None)),
    ("event.key_differs", raw(key=b"somebody else")),
    ("event.attribute_missing", raw(headers=headers(ce_id="absent"))),
    ("event.attribute_missing", raw(headers=headers(ce_sequence=None))),
    ("event.attribute_invalid", raw(headers=headers(ce_sequence="many"))),
    ("event.attribute_invalid", raw(headers=headers(ce_time="yesterday"))),
    ("event.attribute_invalid", raw(headers=headers(ce_id=b"\xff"))),
    ("event.specversion_unknown", raw(headers=headers(ce_specversion="0.3"))),
    ("event.version_gap", raw(headers=headers(ce_sequence="2"))),
]


async def good_ones(sink: Toy, count: int) -> bool:
    return bool(await sink.value("SELECT count(*) = $1 FROM effects WHERE thing_id ~ '^(good|fine)'", count))


async def test_a_record_that_cannot_be_read_becomes_a_dead_letter(installation: Installation, sink: Toy) -> None:
    """Each kind of bad record, between good ones: every good one is applied, every bad one is kept as it came."""
    for number in range(3 * len(UNREADABLE)):  # most events are good, or the consumer would rightly stop
        await installation.publish(ThingMadeV1(thing_id=f"fine-{number}"), 1)
    await until(lambda: good_ones(sink, 3 * len(UNREADABLE)))
    for number, (_, record) in enumerate(UNREADABLE):
        await installation.publish(ThingMadeV1(thing_id=f"good-{number}"), 1)
        mine = f"thing/bad-{number}"
        given = [(name, mine.encode() if value == b"thing/bad" else value) for name, value in record["headers"]]
        key = f"{MIDORI}/{mine}".encode() if record["key"] == KEY else record["key"]
        value = of_thing(record["value"], number)
        await installation.put("source.events", key, value, [*given, ("x-case", str(number).encode())])
    found = await until(lambda: letters(sink, len(UNREADABLE)), 30)
    by_case = {_case(it["headers"]): it for it in found}
    for number, (code, record) in enumerate(UNREADABLE):
        letter = by_case[number]
        assert letter["code"] == code, (number, record["headers"], letter["error"])
        assert letter["value"] == of_thing(record["value"], number)
        assert (letter["key"] is None) == (record["key"] is None)
        assert letter["topic"] == "source.events"

    await until(lambda: good_ones(sink, 4 * len(UNREADABLE)))
    assert await sink.value("SELECT count(*) FROM effects WHERE thing_id LIKE 'bad%'") == 0


def of_thing(value: bytes | None, number: int) -> bytes | None:
    return value and value.replace(b'"bad"', f'"bad-{number}"'.encode())


def _case(text: str) -> int:
    return next(int(value or b"-1") for name, value in headers_of(text) if name == "x-case")


async def test_a_null_header_that_is_not_required_is_ignored(installation: Installation, sink: Toy) -> None:
    await installation.put("source.events", **raw(headers=[*headers(), ("x-note", None), ("ce_causationid", None)]))
    assert await until(lambda: effects(sink, "bad", 1)) == [1]


async def test_a_type_without_a_reaction_is_counted_and_advances_the_version(
    installation: Installation, sink: Toy
) -> None:
    def passed() -> float:
        labels = {"service": "sink", "outcome": "passed"}
        return REGISTRY.get_sample_value("taiwa_consumer_records_total", labels) or 0.0

    before = passed()
    await installation.put("source.events", **raw(headers=headers(ce_type="taiwa.source.thing-painted.v1")))
    await installation.publish(ThingMadeV1(thing_id="bad"), 2)
    assert await until(lambda: effects(sink, "bad", 1)) == [2]
    assert await letters(sink, 1) is None
    await eventually(lambda: passed() == before + 1)


async def test_a_refusal_is_a_dead_letter_and_later_events_of_its_key_wait(
    installation: Installation, sink: Toy, behaviour: Behaviour
) -> None:
    behaviour.refuse.add("no")
    await installation.publish(ThingMadeV1(thing_id="bad"), 1)
    await installation.publish(ThingMadeV1(thing_id="bad", note="no"), 2)
    await installation.publish(ThingMadeV1(thing_id="bad"), 3)
    (letter,) = await until(lambda: letters(sink, 1))
    await until(lambda: letters(sink, 1, "held"))
    await good(installation, sink)
    assert letter["code"] == "sink.too_big"
    assert await effects(sink, "bad", 1) == [1]
    assert await sink.value("SELECT size FROM copies WHERE thing_id = 'bad'") == 0


async def test_a_replayed_letter_takes_effect_and_then_what_was_held_in_order(
    installation: Installation, sink: Toy, behaviour: Behaviour
) -> None:
    behaviour.crash.add("no")
    for version in range(1, 5):
        await installation.publish(ThingMadeV1(thing_id="bad", note="no" if version == 1 else ""), version)
    (letter,) = await until(lambda: letters(sink, 1))
    await until(lambda: letters(sink, 3, "held"))
    behaviour.crash.clear()
    await replay(installation.admin_url, installation.settings, "sink", letter["id"])
    assert await until(lambda: effects(sink, "bad", 4)) == [1, 2, 3, 4]

    async def none_open() -> bool:
        return bool(await sink.value("SELECT sum(open_letters) = 0 FROM offsets"))

    await until(none_open)
    assert await sink.value("SELECT count(*) FROM dead_letters WHERE outcome = 'applied'") == 4


async def test_a_discarded_letter_lets_what_was_held_go_on(
    installation: Installation, sink: Toy, behaviour: Behaviour
) -> None:
    behaviour.crash.add("no")
    for version in range(1, 4):
        await installation.publish(ThingMadeV1(thing_id="bad", note="no" if version == 1 else ""), version)
    (letter,) = await until(lambda: letters(sink, 1))
    await until(lambda: letters(sink, 2, "held"))
    await discard(installation.admin_url, installation.settings, "sink", letter["id"])
    assert await until(lambda: effects(sink, "bad", 2)) == [2, 3]


async def test_a_reaction_that_must_wait_is_tried_again_by_itself(
    installation: Installation, sink: Toy, behaviour: Behaviour
) -> None:
    behaviour.wait.add("later")
    await installation.publish(ThingMadeV1(thing_id="bad", note="later"), 1)
    await installation.publish(ThingMadeV1(thing_id="bad"), 2)
    await until(lambda: letters(sink, 1, "deferred"))
    await until(lambda: letters(sink, 1, "held"))
    await good(installation, sink)
    behaviour.wait.clear()
    assert await until(lambda: effects(sink, "bad", 2)) == [1, 2]


async def test_when_most_events_fail_consumption_stops_and_a_restart_does_not_clear_it(
    installation: Installation, sink: Toy, behaviour: Behaviour
) -> None:
    behaviour.crash.add("deploy")
    for number in range(40):
        await installation.publish(ThingMadeV1(thing_id=f"t{number}", note="deploy"), 1)

    async def stopped() -> list[dict[str, Any]] | None:
        return await sink.rows("SELECT * FROM stops WHERE scope = 'stopped'") or None

    (stop,) = await until(stopped)
    assert "most events fail" in stop["reason"]
    dead = len(await letters(sink, 1) or [])
    assert dead < 20
    await sink.stop()
    again = sink.consumer()

    async def still() -> bool:
        return again.standing() is not None

    await until(still)
    assert len(await letters(sink, 1) or []) == dead

    behaviour.crash.clear()
    await clear_stop(installation.admin_url, installation.settings, "sink")

    async def rest_applied() -> bool:
        return bool(await sink.value("SELECT count(*) = $1 FROM effects", 40 - dead))

    await until(rest_applied)


async def test_a_version_that_was_another_event_before_is_a_dead_letter(installation: Installation, sink: Toy) -> None:
    await installation.publish(ThingMadeV1(thing_id="bad"), 1)
    await installation.publish(ThingMadeV1(thing_id="bad"), 1)
    (letter,) = await until(lambda: letters(sink, 1))
    assert letter["code"] == "event.version_conflict"


async def test_a_duplicate_publication_has_no_second_effect(installation: Installation, sink: Toy) -> None:
    same = uuid4()
    for _ in range(3):
        await installation.publish(ThingMadeV1(thing_id="bad"), 1, event_id=same)
    await installation.publish(ThingMadeV1(thing_id="bad"), 2)
    assert await until(lambda: effects(sink, "bad", 2)) == [1, 2]
    assert await letters(sink, 1) is None

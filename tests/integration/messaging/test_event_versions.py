"""Two major versions of an event live together: old and new services in both directions, and while both are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Self
from uuid import uuid4

import pytest

from chassis import metrics
from chassis.consumer.records import Reader
from chassis.repair import replay
from chassis.service import Projection, Reaction, Received, Service
from chassis.testing import MIDORI, PASSWORD, Installation
from chassis.transaction import Connection, Transaction
from taiwa_contracts.event import Event, State
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import HERE, Toy, ToySettings, source_service, toy, until


class ThingMadeV2(Event):
    """A thing has this length now: version 1 called it size, in millimetres, and knew no colour."""

    TYPE: ClassVar[str] = "taiwa.source.thing-made.v2"
    TOPIC: ClassVar[str] = ThingMadeV1.TOPIC
    AGGREGATE: ClassVar[str] = ThingMadeV1.AGGREGATE
    KEY: ClassVar[tuple[str, ...]] = ThingMadeV1.KEY
    PREVIOUS: ClassVar[type[Event] | None] = ThingMadeV1
    thing_id: str
    micrometres: int
    colour: str | None

    @classmethod
    def from_previous(cls, previous: ThingMadeV1) -> Self:
        """Version 1 knew no colour."""
        return cls(thing_id=previous.thing_id, micrometres=previous.size * 1000, colour=None)


class ThingMadeV3(Event):
    """The colour is always told."""

    TYPE: ClassVar[str] = "taiwa.source.thing-made.v3"
    TOPIC: ClassVar[str] = ThingMadeV1.TOPIC
    AGGREGATE: ClassVar[str] = ThingMadeV1.AGGREGATE
    KEY: ClassVar[tuple[str, ...]] = ThingMadeV1.KEY
    PREVIOUS: ClassVar[type[Event] | None] = ThingMadeV2
    thing_id: str
    micrometres: int
    colour: str

    @classmethod
    def from_previous(cls, previous: ThingMadeV2) -> Self:
        """Grey is what a thing without a colour was meant to be."""
        return cls(thing_id=previous.thing_id, micrometres=previous.micrometres, colour=previous.colour or "grey")


def size_of(event: Any) -> int:
    return event.size if isinstance(event, ThingMadeV1) else event.micrometres


async def copy_sizes(connection: Connection, records: Sequence[Received[Any]]) -> None:
    for it in records:
        await connection.execute(
            """
            INSERT INTO copies (municipality, thing_id, size, version) VALUES ($1, $2, $3, $4)
            ON CONFLICT (municipality, thing_id) DO UPDATE SET size = excluded.size, version = excluded.version
            """,
            it.municipality,
            it.event.thing_id,
            size_of(it.event),
            it.version,
        )


async def note_thing(transaction: Transaction, it: Received[Any]) -> None:
    await transaction.connection.execute(
        "INSERT INTO effects (municipality, thing_id, version, seen_municipality) VALUES ($1, $2, $3, $4)",
        transaction.municipality,
        it.event.thing_id,
        it.version,
        it.type,
    )


def reader_of(installation: Installation, event: type[Event], name: str) -> Service:
    """A service whose projection and reaction are written for this version."""
    return Service(
        name=name,
        title=name,
        settings=ToySettings(installation=installation.settings, database_password=PASSWORD),
        migrations=HERE / "sink" / "migrations",
        projections=(Projection(f"{name}.copies", (event,), copy_sizes),),
        reactions=(Reaction(event, note_thing),),
    )


@pytest.fixture
async def source(installation: Installation) -> AsyncIterator[Toy]:
    async with toy(source_service(installation), installation) as it:
        it.relay()
        yield it


@pytest.fixture
async def old(installation: Installation) -> AsyncIterator[Toy]:
    async with toy(reader_of(installation, ThingMadeV1, "oldsink"), installation) as it:
        it.consumer()
        yield it


@pytest.fixture
async def new(installation: Installation) -> AsyncIterator[Toy]:
    async with toy(reader_of(installation, ThingMadeV2, "newsink"), installation) as it:
        it.consumer()
        yield it


def v1(size: int) -> ThingMadeV1:
    return ThingMadeV1(thing_id="it", size=size)


def v2(millimetres: int) -> ThingMadeV2:
    return ThingMadeV2(thing_id="it", micrometres=millimetres * 1000, colour="red")


async def tell(source: Toy, *tellings: Event, version: int) -> int:
    """What a command does: one fact, in one version or in several; gives the aggregate's version after it."""
    async with source.api.transaction(MIDORI, Toy.SYSTEM) as transaction:
        return transaction.emit_in_versions(*tellings, version=version)


async def effects(sink: Toy) -> list[tuple[int, str]]:
    """Version and type of every effect, in order."""
    found = await sink.rows("SELECT version, seen_municipality AS type FROM effects ORDER BY id")
    return [(it["version"], it["type"].rpartition(".")[2]) for it in found]


async def dealt_with(sink: Toy, version: int) -> bool:
    return bool(await sink.value("SELECT version >= $1 FROM versions WHERE aggregate = 'thing/it'", version))


async def letters(sink: Toy) -> list[dict[str, Any]]:
    return await sink.rows('SELECT * FROM dead_letters WHERE closed_at IS NULL ORDER BY "offset"')


async def test_an_old_producer_is_read_by_a_new_service(source: Toy, new: Toy) -> None:
    await tell(source, v1(5), version=1)
    await tell(source, v1(7), version=2)
    await until(lambda: dealt_with(new, 2))
    assert await effects(new) == [(1, "v2"), (2, "v2")]
    assert await new.value("SELECT size FROM copies") == 7000
    assert await letters(new) == []


async def test_a_producer_that_changes_over_is_read_on_by_a_new_service(source: Toy, new: Toy) -> None:
    await tell(source, v1(5), version=1)
    await tell(source, v2(6), version=2)
    await tell(source, v1(7), version=3)  # an old instance that still ran
    await tell(source, v2(8), version=4)
    await until(lambda: dealt_with(new, 4))
    assert await effects(new) == [(1, "v2"), (2, "v2"), (3, "v2"), (4, "v2")]
    assert await new.value("SELECT size FROM copies") == 8000


async def test_what_an_old_service_cannot_read_waits_until_it_is_upgraded(
    installation: Installation, source: Toy, old: Toy
) -> None:
    await tell(source, v1(5), version=1)
    await tell(source, v2(6), version=2)
    await tell(source, v1(7), version=3)
    held = await until(lambda: _at_least(old, 2))
    assert [(it["kind"], it["code"]) for it in held] == [("dead", "event.version_unknown"), ("held", "event.held")]
    assert await effects(old) == [(1, "v1")]

    await old.stop()
    upgraded = Toy(reader_of(installation, ThingMadeV2, "oldsink"), installation, old.api, old.worker)
    upgraded.consumer()
    try:
        await replay(installation.admin_url, installation.settings, "oldsink", held[0]["id"])
        await until(lambda: dealt_with(old, 3))
        assert await effects(old) == [(1, "v1"), (2, "v2"), (3, "v2")]
        assert await old.value("SELECT size FROM copies") == 7000
        assert await letters(old) == []
    finally:
        await upgraded.stop()


async def _at_least(sink: Toy, count: int) -> list[dict[str, Any]] | None:
    found = await letters(sink)
    return found if len(found) >= count else None


async def test_a_fact_told_in_both_versions_takes_effect_once_in_every_service(
    installation: Installation, source: Toy, old: Toy, new: Toy
) -> None:
    version = await tell(source, v1(5), version=1)
    for size in (6, 7, 8):  # the transition: both are told
        version = await tell(source, v1(size), v2(size), version=version + 1)
    await until(lambda: dealt_with(old, version))
    await until(lambda: dealt_with(new, version))
    assert version == 7
    assert await effects(old) == [(1, "v1"), (2, "v1"), (4, "v1"), (6, "v1")]
    assert await effects(new) == [(1, "v2"), (3, "v2"), (5, "v2"), (7, "v2")]
    assert await old.value("SELECT size FROM copies") == 8
    assert await new.value("SELECT size FROM copies") == 8000
    assert await letters(old) == await letters(new) == []
    told = [fact.headers.get("ce_versions") for fact in await installation.facts_on(ThingMadeV1.TOPIC)]
    assert told == [None, *["1,2"] * 6]


async def test_old_and_new_instances_of_one_service_share_the_transition(
    installation: Installation, source: Toy, old: Toy
) -> None:
    """A rolling upgrade: whichever instance gets the partition, each fact takes effect once."""
    beside = Toy(reader_of(installation, ThingMadeV2, "oldsink"), installation, old.api, old.worker)
    version = await tell(source, v1(1), version=1)
    try:
        await until(lambda: dealt_with(old, version))
        beside.consumer()
        for size in (2, 3, 4):
            version = await tell(source, v1(size), v2(size), version=version + 1)
        await until(lambda: dealt_with(old, version), 30)
        await old.stop()
        version = await tell(source, v1(5), v2(5), version=version + 1)
        version = await tell(source, v2(6), version=version + 1)  # readers are through: the old one is told no more
        await until(lambda: dealt_with(old, version), 30)
    finally:
        await beside.stop()
    facts = [number for number, _ in await effects(old)]
    either = [{1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10}]
    assert len(facts) == len(either)
    assert all(number in pair for number, pair in zip(facts, either, strict=True))
    assert await old.value("SELECT size FROM copies") == 6000
    assert await letters(old) == []


async def test_three_versions_are_read_as_the_newest(source: Toy, installation: Installation) -> None:
    async with toy(reader_of(installation, ThingMadeV3, "thirdsink"), installation) as third:
        third.consumer()
        await tell(source, v1(1), version=1)
        await tell(source, v2(2), version=2)
        await tell(source, v1(3), v2(3), version=3)
        await tell(source, ThingMadeV3(thing_id="it", micrometres=4000, colour="blue"), version=5)
        await until(lambda: dealt_with(third, 5))
        assert await effects(third) == [(1, "v3"), (2, "v3"), (4, "v3"), (5, "v3")]
        assert await letters(third) == []


async def test_a_fact_told_only_in_versions_that_are_too_new_is_a_dead_letter(
    installation: Installation, old: Toy
) -> None:
    await installation.publish(v2(6), 1, headers={"ce_versions": "2,3"})
    (letter,) = await until(lambda: _at_least(old, 1))
    assert letter["code"] == "event.version_unknown"


async def test_versions_that_are_no_numbers_are_a_dead_letter(installation: Installation, old: Toy) -> None:
    await installation.publish(v1(6), 1, headers={"ce_versions": "1,new"})
    (letter,) = await until(lambda: _at_least(old, 1))
    assert letter["code"] == "event.attribute_invalid"


async def test_a_type_that_nobody_knows_passes_and_is_counted(installation: Installation, old: Toy) -> None:
    counter = metrics.CONSUMER_RECORDS.labels("oldsink", "passed")
    before = counter._value.get()
    for version, type_ in enumerate(("taiwa.source.thing-sung.v1", "taiwa.source.thing-sung.v9"), 1):
        await installation.publish(v1(1), version, event_id=uuid4(), headers={"ce_type": type_})
    await installation.publish(v1(3), 3)
    await until(lambda: dealt_with(old, 3))
    assert await effects(old) == [(3, "v1")]
    assert counter._value.get() == before + 2


def test_one_event_in_two_versions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"thing-made\.v1: a newer version is wanted too"):
        Reader("", [ThingMadeV1, ThingMadeV2])


@pytest.mark.parametrize(
    "tellings",
    [
        (),
        (v2(1), v1(1)),
        (v1(1), v1(1)),
        (v1(1), ThingMadeV2(thing_id="another", micrometres=1, colour=None)),
    ],
    ids=["none", "newest first", "one version twice", "two things"],
)
async def test_tellings_that_are_not_one_fact_are_refused(source: Toy, tellings: tuple[Event, ...]) -> None:
    with pytest.raises(ValueError, match="tellings are versions of one event"):
        await tell(source, *tellings, version=1)


def test_a_new_version_says_how_it_is_made_of_the_old_one() -> None:
    with pytest.raises(TypeError, match="must state PREVIOUS"):

        class Forgetful(ThingMadeV1):
            TYPE: ClassVar[str] = "taiwa.source.thing-made.v2"

    with pytest.raises(TypeError, match="must say in from_previous"):

        class Silent(ThingMadeV1):
            TYPE: ClassVar[str] = "taiwa.source.thing-made.v2"
            PREVIOUS: ClassVar[type[Event] | None] = ThingMadeV1

    with pytest.raises(TypeError, match=r"must be the class of taiwa\.source\.thing-made\.v3"):

        class Skipping(ThingMadeV2):
            TYPE: ClassVar[str] = "taiwa.source.thing-made.v4"

    with pytest.raises(TypeError, match="must keep topic, aggregate and key"):

        class Moved(ThingMadeV2):
            TYPE: ClassVar[str] = "taiwa.source.thing-made.v3"
            TOPIC: ClassVar[str] = "source.others"
            PREVIOUS: ClassVar[type[Event] | None] = ThingMadeV2


def test_states_have_versions_too() -> None:
    class BoxStateV1(State):
        TYPE: ClassVar[str] = "taiwa.source.box-state.v1"
        TOPIC: ClassVar[str] = "source.boxes"
        AGGREGATE: ClassVar[str] = "box"
        KEY: ClassVar[tuple[str, ...]] = ("box_id",)
        box_id: str

    class BoxStateV2(BoxStateV1):
        TYPE: ClassVar[str] = "taiwa.source.box-state.v2"
        PREVIOUS: ClassVar[type[Event] | None] = BoxStateV1
        lid: bool

        @classmethod
        def from_previous(cls, previous: BoxStateV1) -> Self:
            return cls(state_version=previous.state_version, box_id=previous.box_id, lid=False)

    read = BoxStateV2.readers()[BoxStateV1.TYPE](BoxStateV1(state_version=3, box_id="b").write())
    assert read == BoxStateV2(state_version=3, box_id="b", lid=False)

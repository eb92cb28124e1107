"""Events of two toy services: ``source`` makes things, ``sink`` copies and answers them."""

from __future__ import annotations

from typing import ClassVar

from taiwa_contracts.event import Event, State


class _ThingFact(Event, abstract=True):
    TOPIC: ClassVar[str] = "source.events"
    AGGREGATE: ClassVar[str] = "thing"
    KEY: ClassVar[tuple[str, ...]] = ("thing_id",)
    thing_id: str


class ThingMadeV1(_ThingFact):
    """A thing has this size now."""

    TYPE: ClassVar[str] = "taiwa.source.thing-made.v1"
    size: int = 0
    note: str = ""


class ThingIgnoredV1(_ThingFact):
    """A fact nobody here reacts to."""

    TYPE: ClassVar[str] = "taiwa.source.thing-ignored.v1"


class OwnerStateV1(State):
    """Who owns a thing: personal, so it travels as state."""

    TYPE: ClassVar[str] = "taiwa.source.owner-state.v1"
    TOPIC: ClassVar[str] = "source.owners"
    AGGREGATE: ClassVar[str] = "owner"
    KEY: ClassVar[tuple[str, ...]] = ("owner_id",)
    owner_id: str
    name: str


class ThingAnsweredV1(Event):
    """The sink answered a thing."""

    TYPE: ClassVar[str] = "taiwa.sink.thing-answered.v1"
    TOPIC: ClassVar[str] = "sink.events"
    AGGREGATE: ClassVar[str] = "answer"
    KEY: ClassVar[tuple[str, ...]] = ("thing_id", "of_version")
    thing_id: str
    of_version: int

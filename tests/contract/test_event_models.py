"""What every event of the catalogue promises to its writers and readers."""

from __future__ import annotations

import json
from typing import ClassVar
from uuid import UUID

import pytest
from pydantic import ValidationError

from taiwa_contracts import topics
from taiwa_contracts.catalogue import BY_TYPE, EVENTS
from taiwa_contracts.event import Event, State
from taiwa_contracts.leaders import CoverageLostV1, LeaderAppointedV1
from tests.contract.repository import SAMPLES

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)


@every_event
def test_an_unknown_field_is_refused_on_writing_and_ignored_on_reading(event: type[Event]) -> None:
    value = SAMPLES[event.TYPE].value | {"added_later": "…"}
    with pytest.raises(ValidationError, match="added_later"):
        event.model_validate(value)
    assert event.read(json.dumps(value)) == event.read(SAMPLES[event.TYPE].payload())


@every_event
def test_what_is_written_is_read_as_the_same(event: type[Event]) -> None:
    fact = event.read(SAMPLES[event.TYPE].payload())
    assert event.read(fact.write()) == fact


@every_event
def test_an_event_travels_on_its_owners_topic(event: type[Event]) -> None:
    topic = next(topic for topic in topics.TOPICS if topic.name == event.TOPIC)
    assert event.TOPIC.split(".")[0] == event.owner()
    assert topic.compacted == issubclass(event, State)


@every_event
def test_an_event_says_what_happened_and_bears_its_version(event: type[Event]) -> None:
    assert event.__doc__
    assert event.__name__.endswith(f"V{event.schema_version()}")


def test_every_type_is_in_the_catalogue_once() -> None:
    assert len(BY_TYPE) == len(EVENTS)


def test_a_fact_cannot_be_changed() -> None:
    lost = CoverageLostV1.read(SAMPLES[CoverageLostV1.TYPE].payload())
    with pytest.raises(ValidationError, match="frozen"):
        setattr(lost, "section_id", UUID(int=0))  # noqa: B010  mypy would refuse the plain assignment


@pytest.mark.parametrize("payload", ["{", "[]", '{"section_id": NaN}', '{"section_id": "not a uuid"}', ""])
def test_a_payload_that_is_not_the_event_is_refused(payload: str) -> None:
    with pytest.raises(ValidationError):
        CoverageLostV1.read(payload)


def test_the_aggregate_is_the_kind_and_the_key() -> None:
    fact = LeaderAppointedV1.read(SAMPLES[LeaderAppointedV1.TYPE].payload())
    assert fact.aggregate() == f"appointment/{fact.appointment_id}"


def test_an_event_without_a_topic_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match="must state TOPIC"):

        class Homeless(Event):
            TYPE: ClassVar[str] = "taiwa.leaders.homeless.v1"


def test_an_event_with_a_malformed_type_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match=r"taiwa\.<owner>\.<name>\.v<major>"):

        class Misnamed(CoverageLostV1):
            TYPE: ClassVar[str] = "LeaderAppointed"


def test_a_key_of_unknown_fields_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match="unknown fields: colour"):

        class Keyless(CoverageLostV1):
            KEY: ClassVar[tuple[str, ...]] = ("colour",)

"""The checker of published versions is itself checked: models that break readers must each be caught, with the fix."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, create_model

from taiwa.contracts.compatibility import problems
from taiwa.contracts.schemas import Schema, schema_of
from taiwa_contracts.catalogue import BY_TYPE
from taiwa_contracts.event import Day, Event, Text

TYPE = "taiwa.leaders.badge-given.v1"
Field = tuple[Any, Any]
"""Type and default, as pydantic's create_model takes them; ``...``: no default."""

PUBLISHED: dict[str, Field] = {
    "badge_id": (UUID, ...),
    "colour": (Literal["red", "blue"], ...),
    "given_on": (Day, ...),
    "note": (Text | None, None),
    "tags": (list[UUID], ...),
}


class Badge(Event, abstract=True):
    TYPE: ClassVar[str] = TYPE
    TOPIC: ClassVar[str] = "leaders.events"
    AGGREGATE: ClassVar[str] = "badge"
    KEY: ClassVar[tuple[str, ...]] = ()


class BadgeOnAnotherTopic(Badge, abstract=True):
    TOPIC: ClassVar[str] = "trainings.events"


class BadgeOfAnotherAggregate(Badge, abstract=True):
    AGGREGATE: ClassVar[str] = "medal"


def schema(fields: Mapping[str, Field], base: type[Event] = Badge) -> Schema:
    definitions: Any = dict(fields)
    return schema_of(create_model("BadgeGivenV1", __base__=base, **definitions))


def found(present: Schema) -> list[str]:
    return problems({TYPE: schema(PUBLISHED)}, {TYPE: present})


def test_the_same_passes() -> None:
    assert found(schema(PUBLISHED)) == []


def test_an_optional_addition_passes() -> None:
    assert found(schema(PUBLISHED | {"given_by": (Text | None, None)})) == []


def test_other_words_in_the_documentation_pass() -> None:
    assert found(schema(PUBLISHED) | {"description": "The same in other words."}) == []


def without(field: str) -> dict[str, Field]:
    return {name: kind for name, kind in PUBLISHED.items() if name != field}


@pytest.mark.parametrize(
    ("present", "sentence"),
    [
        (without("given_on"), "field given_on was removed"),
        (PUBLISHED | {"given_by": (Text, ...)}, "new field given_by is required"),
        (PUBLISHED | {"note": (Text | None, ...)}, "field note was optional and is now required"),
        (PUBLISHED | {"given_on": (Day, date(2026, 4, 1))}, "field given_on was always there and is now optional"),
        (PUBLISHED | {"given_on": (str, ...)}, "field given_on changed from"),
        (PUBLISHED | {"given_on": (Day | None, ...)}, "field given_on changed from"),
        (PUBLISHED | {"tags": (list[int], ...)}, "field tags[] changed from"),
        (PUBLISHED | {"note": (str | None, None)}, "field note changed from"),
        (PUBLISHED | {"colour": (Literal["red"], ...)}, "field colour no longer allows blue"),
        (PUBLISHED | {"colour": (Literal["red", "blue", "green"], ...)}, "field colour newly allows green"),
    ],
)
def test_a_field_that_breaks_a_reader_is_found_with_its_fix(present: dict[str, Field], sentence: str) -> None:
    problem = "\n".join(found(schema(present)))
    assert sentence in problem
    assert "Put it back, or publish taiwa.leaders.badge-given.v2 beside it." in problem


def test_a_field_of_a_nested_object_is_looked_at_too() -> None:
    class Place(BaseModel):
        desk: int

    class OtherPlace(BaseModel):
        room: int

    frozen = schema(PUBLISHED | {"place": (Place, ...)})
    present = schema(PUBLISHED | {"place": (OtherPlace, ...)})
    assert [problem.partition(". ")[0] for problem in problems({TYPE: frozen}, {TYPE: present})] == [
        f"{TYPE}: field place.desk was removed",
        f"{TYPE}: new field place.room is required (a new field needs a default)",
    ]


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        (BadgeOnAnotherTopic, "the topic changed from leaders.events to trainings.events"),
        (BadgeOfAnotherAggregate, "the aggregate changed from badge to medal"),
    ],
)
def test_a_fact_that_moves_is_found(base: type[Event], sentence: str) -> None:
    assert sentence in found(schema(PUBLISHED, base))[0]


def test_another_key_is_found() -> None:
    assert "the key changed from [] to ['badge_id']" in found(schema(PUBLISHED) | {"x-key": ["badge_id"]})[0]


def test_a_published_type_that_is_gone_is_found() -> None:
    assert "is gone. Put it back" in problems({TYPE: schema(PUBLISHED)}, {})[0]


def test_a_new_type_needs_nobodys_leave() -> None:
    assert problems({}, {TYPE: schema(PUBLISHED)}) == []


def test_the_synthetic_events_are_no_part_of_the_catalogue() -> None:
    assert TYPE not in BY_TYPE

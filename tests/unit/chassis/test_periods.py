from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from chassis.calendar import at
from chassis.periods import standing
from chassis.service import Received
from chassis.testing import MIDORI, OTHER_TOWN

FIRST = date(2026, 4, 1)


@dataclass(frozen=True)
class Begun:
    """A fact that holds from a day on."""

    day: date


def told(version: int, day: date, town: str = MIDORI) -> Received[Any]:
    return Received(
        event=Begun(day),
        id=uuid4(),
        type="begun",
        municipality=town,
        aggregate="section/1",
        version=version,
        occurred_at=at(FIRST, "09:00"),
        correlation_id=uuid4(),
        causation_id=None,
        traceparent=None,
        topic="topic",
        partition=0,
        offset=version,
    )


def test_a_correction_that_begins_earlier_takes_the_place_of_what_it_corrects() -> None:
    corrected, right = told(2, date(2026, 4, 3)), told(3, FIRST)
    assert standing([told(1, date(2020, 4, 1)), corrected, right], lambda it: it.day)[1:] == [right]


def test_towns_do_not_take_each_other_s_places() -> None:
    ours, theirs = told(1, date(2026, 4, 3)), told(2, FIRST, OTHER_TOWN)
    assert standing([ours, theirs], lambda it: it.day) == [ours, theirs]


@given(st.lists(st.integers(0, 9), max_size=8))
def test_on_every_day_the_newest_fact_that_has_begun_holds(days: list[int]) -> None:
    records = [told(version, FIRST + timedelta(days=day)) for version, day in enumerate(days, 1)]
    stand = standing(records, lambda it: it.day)
    assert [it.event.day for it in stand] == sorted({it.event.day for it in stand})
    for day in (FIRST + timedelta(days=number) for number in range(10)):
        begun = [it for it in records if it.event.day <= day]
        last = [it for it in stand if it.event.day <= day]
        assert last[-1:] == begun[-1:]

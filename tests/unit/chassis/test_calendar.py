from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.calendar import (
    TOKYO,
    at,
    fiscal_year_ends_on,
    fiscal_year_of,
    fiscal_year_starts_on,
    is_open,
    working_days_after,
    working_days_between,
)

GOLDEN_WEEK = {date(2026, 4, 29), date(2026, 5, 4), date(2026, 5, 5), date(2026, 5, 6)}
days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("day", "year"),
    [(date(2026, 3, 31), 2025), (date(2026, 4, 1), 2026), (date(2027, 1, 1), 2026), (date(2024, 2, 29), 2023)],
)
def test_a_fiscal_year_begins_on_1_april(day: date, year: int) -> None:
    assert fiscal_year_of(day) == year


@given(days)
def test_a_day_lies_within_its_fiscal_year(day: date) -> None:
    year = fiscal_year_of(day)
    assert fiscal_year_starts_on(year) <= day <= fiscal_year_ends_on(year)


@pytest.mark.parametrize(
    ("day", "count", "expected"),
    [
        (date(2026, 4, 28), 1, date(2026, 4, 30)),
        (date(2026, 5, 1), 1, date(2026, 5, 7)),
        (date(2026, 5, 1), 2, date(2026, 5, 8)),
        (date(2026, 4, 13), 5, date(2026, 4, 20)),
        (date(2026, 4, 13), 0, date(2026, 4, 13)),
        (date(2026, 5, 2), 0, date(2026, 5, 7)),
    ],
)
def test_closed_days_do_not_count(day: date, count: int, expected: date) -> None:
    assert working_days_after(day, count, GOLDEN_WEEK) == expected


@given(days, st.integers(1, 60), st.sets(days, max_size=10))
def test_counting_forward_and_back_agree(day: date, count: int, closed: set[date]) -> None:
    due = working_days_after(day, count, closed)
    assert is_open(due, closed)
    assert working_days_between(day, due, closed) == count


def test_a_calendar_without_an_open_day_is_an_error_and_no_endless_search() -> None:
    closed = {date.fromordinal(date(2026, 1, 1).toordinal() + step) for step in range(1000)}
    with pytest.raises(ValueError, match="no open day"):
        working_days_after(date(2026, 1, 1), 1, closed)


def test_nothing_is_late_before_its_day() -> None:
    assert working_days_between(date(2026, 4, 20), date(2026, 4, 13), set()) == 0


def test_an_hour_is_the_town_s() -> None:
    assert at(date(2026, 4, 13), "08:30") == datetime(2026, 4, 13, 8, 30, tzinfo=TOKYO)

"""Working days and fiscal years of a town. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

TOKYO = ZoneInfo("Asia/Tokyo")
_SATURDAY = 5
_APRIL = 4
_LONGEST_CLOSURE = 366


def fiscal_year_of(day: date) -> int:
    """The fiscal year a day belongs to, named by the year of its 1 April."""
    return day.year if day.month >= _APRIL else day.year - 1


def fiscal_year_starts_on(fiscal_year: int) -> date:
    """1 April of the fiscal year."""
    return date(fiscal_year, _APRIL, 1)


def fiscal_year_ends_on(fiscal_year: int) -> date:
    """31 March, the last day of the fiscal year (inclusive)."""
    return date(fiscal_year + 1, 3, 31)


def is_open(day: date, closed_days: AbstractSet[date]) -> bool:
    """Whether the town hall works on that day. Weekends are closed even where the calendar is not known yet."""
    return day.weekday() < _SATURDAY and day not in closed_days


def working_days_after(day: date, count: int, closed_days: AbstractSet[date]) -> date:
    """The ``count``-th open day after ``day`` (開庁日); ``count`` 0 gives the first open day from ``day`` on.

    Raises:
        ValueError: more than a year without an open day: the calendar is wrong.
    """
    current, left, steps = day, count, 0
    while left > 0 or not is_open(current, closed_days):
        current += timedelta(days=1)
        steps += 1
        if steps > _LONGEST_CLOSURE + count * 2:
            raise ValueError("the calendar has no open day within a year")
        if is_open(current, closed_days):
            left -= 1
            if left <= 0:
                break
    return current


def working_days_between(earlier: date, later: date, closed_days: AbstractSet[date]) -> int:
    """Open days after ``earlier`` up to and including ``later``: how many 開庁日 late something is (0 or more)."""
    days = (later - earlier).days
    return sum(is_open(earlier + timedelta(days=step), closed_days) for step in range(1, days + 1))


def at(day: date, clock: str, zone: tzinfo = TOKYO) -> datetime:
    """The instant of a day at ``HH:MM`` in the town."""
    hour, minute = clock.split(":")
    return datetime.combine(day, time(int(hour), int(minute)), tzinfo=zone)

"""Fiscal years, the working calendar and the town's rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from chassis.calendar import fiscal_year_ends_on, fiscal_year_of, fiscal_year_starts_on
from chassis.refusals import Problems, Refusal

OPENS_AT = "08:30"
CLOSES_AT = "17:15"
_SATURDAY = 5
_CLOCK = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
_YEAR_END = {(12, 29), (12, 30), (12, 31), (1, 1), (1, 2), (1, 3)}

RuleValue = bool | int | str

RULES: Mapping[str, type[bool | int | str]] = {
    "leaders_per_section": int,
    "call_closes": str,
    "decision_required": bool,
    "term": str,
    "predecessor_serves_on": bool,
    "appointment_word": str,
    "deputy_when_absent": bool,
    "on_transfer": str,
}
"""What a town may set by its own 要綱, and the type of each value."""


class FiscalYearOpen(Refusal):
    """A fiscal year is opened once."""

    code = "directory.fiscal_year_open"
    ja = "この年度はすでに始めています。"
    en = "This fiscal year is open already."


class RuleUnknown(Refusal):
    """Only known rules have an effect."""

    code = "directory.rule_unknown"
    status = 422
    ja = "この決まりは設定できません。一覧から選び直してください。"
    en = "There is no such rule; known are {known}."


@dataclass(frozen=True, slots=True)
class Hours:
    """Office hours, ``HH:MM``."""

    opens_at: str = OPENS_AT
    closes_at: str = CLOSES_AT


def closed_days(fiscal_year: int, holidays: Iterable[date], extra: Iterable[date]) -> tuple[date, ...]:
    """閉庁日 of a fiscal year in order: weekends, holidays, 29 December to 3 January, and the town's own.

    Raises:
        Invalid: a day of the town's own lies outside the fiscal year.
    """
    starts_on, ends_on = fiscal_year_starts_on(fiscal_year), fiscal_year_ends_on(fiscal_year)
    problems = Problems()
    for day in extra:
        if fiscal_year_of(day) != fiscal_year:
            problems.add(
                "closed_days", ja=f"{day}はこの年度の日ではありません。", en=f"{day} is outside the fiscal year"
            )
    problems.refuse_any()
    special = {*holidays, *extra}
    days = (starts_on + timedelta(days=step) for step in range((ends_on - starts_on).days + 1))
    return tuple(
        day for day in days if day.weekday() >= _SATURDAY or (day.month, day.day) in _YEAR_END or day in special
    )


def check_hours(hours: Hours) -> Hours:
    """The hours, which are times and in order.

    Raises:
        Invalid: they are not.
    """
    problems = Problems()
    for field, value in (("opens_at", hours.opens_at), ("closes_at", hours.closes_at)):
        if _CLOCK.match(value) is None:
            problems.add(field, ja="時刻は「08:30」の形で入れてください。", en="is not a time like 08:30")
    if not problems.errors and hours.closes_at <= hours.opens_at:
        problems.add("closes_at", ja="終わりの時刻を始まりより後にしてください。", en="must be after opens_at")
    problems.refuse_any()
    return hours


def check_rule(rule: str, value: RuleValue) -> None:
    """Refuse a rule nobody follows, or a value of another type.

    Raises:
        RuleUnknown, Invalid: see there.
    """
    wanted = RULES.get(rule)
    if wanted is None:
        raise RuleUnknown(known=", ".join(RULES))
    problems = Problems()
    if type(value) is not wanted or (wanted is int and value < 0):  # type: ignore[operator]  # an int by then
        names = {bool: "はい・いいえ", int: "0以上の数字", str: "文字"}
        problems.add("value", ja=f"{names[wanted]}で入れてください。", en=f"must be of type {wanted.__name__}")
    problems.refuse_any()

"""Fiscal years, calendars and rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime

from pydantic import BaseModel

from chassis.calendar import fiscal_year_ends_on, fiscal_year_starts_on
from chassis.http import View
from chassis.refusals import NotFound
from services.directory.domain.years import RuleValue

LIST_FISCAL_YEARS = """
SELECT fiscal_year, opened_at FROM fiscal_years WHERE municipality = $1 ORDER BY fiscal_year DESC
"""

ONE_CALENDAR = """
SELECT fiscal_year, version, extra_closed_days, closed_days, opens_at, closes_at
FROM calendars WHERE municipality = $1 AND fiscal_year = $2
"""

LIST_RULES = """
SELECT kept.rule, kept.version, said.effective_from, said.value, said.article, said.article_text, said.fictional
FROM rules AS kept JOIN rule_values AS said USING (municipality, rule)
WHERE kept.municipality = $1 ORDER BY kept.rule, said.effective_from DESC
"""


class CalendarUnknown(NotFound):
    """The town has no calendar for that fiscal year."""

    code = "directory.calendar_unknown"
    ja = "この年度の開庁日がまだ決まっていません。年度を始めるか、開庁日を登録してください。"
    en = "There is no calendar for that fiscal year. Open the year or PUT its calendar."


class FiscalYearView(BaseModel):
    """A fiscal year, named by the year of its 1 April."""

    fiscal_year: int
    label: str
    starts_on: date
    ends_on: date
    opened_at: datetime


class Holiday(BaseModel):
    """A holiday and its name."""

    day: date
    name: str


class CalendarView(BaseModel):
    """Closed days of a fiscal year: all of them, and the town's own apart."""

    fiscal_year: int
    version: int
    closed_days: list[date]
    extra_closed_days: list[date]
    holidays: list[Holiday]
    opens_at: str
    closes_at: str


class RuleView(BaseModel):
    """What a rule says from a day on; ``in_force``: today."""

    rule: str
    version: int
    effective_from: date
    value: RuleValue
    article: str | None
    article_text: str | None
    fictional: bool
    in_force: bool


class Rules(BaseModel):
    """Everything a town has set, the newest of each rule first."""

    items: list[RuleView]


class FiscalYears(BaseModel):
    """Fiscal years that were opened, the newest first."""

    items: list[FiscalYearView]


_REIWA = 2018


def label_of(fiscal_year: int) -> str:
    """How the town writes it: 令和8年度（2026年度）."""
    if fiscal_year <= _REIWA:
        return f"{fiscal_year}年度"
    era = fiscal_year - _REIWA
    return f"令和{'元' if era == 1 else era}年度（{fiscal_year}年度）"


async def list_fiscal_years(view: View) -> FiscalYears:
    """Fiscal years that were opened."""
    rows = await view.connection.fetch(LIST_FISCAL_YEARS, view.municipality)
    return FiscalYears(
        items=[
            FiscalYearView(
                fiscal_year=row["fiscal_year"],
                label=label_of(row["fiscal_year"]),
                starts_on=fiscal_year_starts_on(row["fiscal_year"]),
                ends_on=fiscal_year_ends_on(row["fiscal_year"]),
                opened_at=row["opened_at"],
            )
            for row in rows
        ]
    )


async def one_calendar(view: View, fiscal_year: int, holidays: Mapping[date, str]) -> CalendarView:
    """The calendar of a fiscal year.

    Raises:
        CalendarUnknown: there is none.
    """
    row = await view.connection.fetchrow(ONE_CALENDAR, view.municipality, fiscal_year)
    if row is None:
        raise CalendarUnknown
    return CalendarView(**dict(row), holidays=[Holiday(day=day, name=name) for day, name in holidays.items()])


async def list_rules(view: View) -> Rules:
    """What each rule says, ever said and will say."""
    rows = await view.connection.fetch(LIST_RULES, view.municipality)
    items, found = [], set[str]()
    for row in rows:
        in_force = row["rule"] not in found and row["effective_from"] <= view.today
        if in_force:
            found.add(row["rule"])
        items.append(RuleView.model_validate({**dict(row), "value": json.loads(row["value"]), "in_force": in_force}))
    return Rules(items=items)

"""Fiscal years, calendars and rules."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field, StrictBool, StrictInt, StringConstraints

from chassis.auth import Caller
from chassis.http import Commands, Views, anybody
from services.directory.commands import years
from services.directory.domain.years import CLOSES_AT, OPENS_AT, Hours
from services.directory.queries.years import (
    CalendarView,
    FiscalYears,
    Rules,
    list_fiscal_years,
    list_rules,
    one_calendar,
)
from services.directory.repository.years import RuleSetting
from services.directory.routes.fields import NO_CONTROL_BUT_LINES, Body, Day, FiscalYear, Line, Steward

router = APIRouter(tags=["years and rules"])

_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Clock = Annotated[str, StringConstraints(pattern=_CLOCK, max_length=5)]


class NewFiscalYear(Body):
    """The year of its 1 April."""

    fiscal_year: Annotated[int, Field(ge=2000, le=2100)]


class NewCalendar(Body):
    """Closed days of the town's own, beside weekends, holidays and 29 December to 3 January; and office hours."""

    closed_days: Annotated[list[Day], Field(max_length=366)] = Field(default_factory=list)
    opens_at: Clock = OPENS_AT
    closes_at: Clock = CLOSES_AT


class NewRule(Body):
    """What a rule says from a day on. ``article`` null: the town's own setting."""

    value: StrictBool | Annotated[StrictInt, Field(ge=0, le=1_000_000)] | Line
    article: Line | None = None
    article_text: Annotated[str, StringConstraints(max_length=5000, pattern=NO_CONTROL_BUT_LINES)] | None = None
    fictional: bool = False
    effective_from: Day | None = None


@router.get("/fiscal-years")
async def get_fiscal_years(caller: Annotated[Caller, Depends(anybody)], views: Views) -> FiscalYears:
    """Fiscal years that were opened, the newest first."""
    async with views.of(caller) as view:
        return await list_fiscal_years(view)


@router.post("/fiscal-years", status_code=204)
async def open_fiscal_year(body: NewFiscalYear, caller: Steward, commands: Commands) -> Response:
    """Open a fiscal year; it gets the usual calendar unless one was set."""
    command = years.OpenFiscalYear(body.fiscal_year)
    return await commands.run(caller, lambda tx: years.open_fiscal_year(tx, command))


@router.get("/calendars/{fiscal_year}")
async def get_calendar(
    fiscal_year: FiscalYear, caller: Annotated[Caller, Depends(anybody)], views: Views
) -> CalendarView:
    """Closed days and office hours of a fiscal year."""
    async with views.of(caller) as view:
        return await one_calendar(view, fiscal_year, years.japanese_holidays(fiscal_year))


@router.put("/calendars/{fiscal_year}", status_code=204)
async def set_calendar(fiscal_year: FiscalYear, body: NewCalendar, caller: Steward, commands: Commands) -> Response:
    """Set closed days and office hours of a fiscal year."""
    command = years.SetCalendar(fiscal_year, tuple(body.closed_days), Hours(body.opens_at, body.closes_at))
    return await commands.run(caller, lambda tx: years.set_calendar(tx, command))


@router.get("/rules")
async def get_rules(caller: Annotated[Caller, Depends(anybody)], views: Views) -> Rules:
    """What the town's rules say, with their articles."""
    async with views.of(caller) as view:
        return await list_rules(view)


@router.put("/rules/{rule}", status_code=204)
async def set_rule(
    rule: Annotated[str, Path(max_length=50, pattern=r"^[a-z_]+$")], body: NewRule, caller: Steward, commands: Commands
) -> Response:
    """Set what a rule says from a day on."""
    setting = RuleSetting(body.value, body.article, body.article_text, body.fictional)
    command = years.SetRule(rule, setting, body.effective_from)
    return await commands.run(caller, lambda tx: years.set_rule(tx, command))

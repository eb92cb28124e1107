"""Fiscal years, calendars and rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import holidays

from chassis.calendar import fiscal_year_ends_on, fiscal_year_starts_on
from chassis.transaction import Transaction
from services.directory.domain.years import (
    FiscalYearOpen,
    Hours,
    check_hours,
    check_rule,
    closed_days,
)
from services.directory.repository import years as kept
from taiwa_contracts.directory import CalendarChangedV1, FiscalYearOpenedV1, RuleChangedV1


@dataclass(frozen=True, slots=True)
class OpenFiscalYear:
    """The town begins a fiscal year."""

    fiscal_year: int


@dataclass(frozen=True, slots=True)
class SetCalendar:
    """``extra``: closed days of the town's own, beside weekends, holidays and 29 December to 3 January."""

    fiscal_year: int
    extra: tuple[date, ...] = ()
    hours: Hours = field(default_factory=Hours)


@dataclass(frozen=True, slots=True)
class SetRule:
    """What a rule says from a day on, and the town's article, if one says so."""

    rule: str
    setting: kept.RuleSetting
    effective_from: date | None = None


def japanese_holidays(fiscal_year: int) -> dict[date, str]:
    """国民の祝日 and 休日 of a fiscal year with their names."""
    found = holidays.country_holidays("JP", years=[fiscal_year, fiscal_year + 1], language="ja")
    first, last = fiscal_year_starts_on(fiscal_year), fiscal_year_ends_on(fiscal_year)
    return {day: name for day, name in sorted(found.items()) if first <= day <= last}


async def open_fiscal_year(tx: Transaction, command: OpenFiscalYear) -> None:
    """Open a fiscal year; it gets the usual calendar unless one was set before."""
    if not await kept.insert_fiscal_year(tx.connection, tx.municipality, command.fiscal_year, tx.now):
        raise FiscalYearOpen
    tx.emit(
        FiscalYearOpenedV1(
            fiscal_year=command.fiscal_year,
            starts_on=fiscal_year_starts_on(command.fiscal_year),
            ends_on=fiscal_year_ends_on(command.fiscal_year),
        ),
        version=1,
    )
    if await kept.lock_calendar(tx.connection, tx.municipality, command.fiscal_year) is None:
        await set_calendar(tx, SetCalendar(command.fiscal_year))


async def set_calendar(tx: Transaction, command: SetCalendar) -> None:
    """Set a fiscal year's closed days and hours; the same again changes nothing."""
    extra = tuple(sorted(set(command.extra)))
    closed = closed_days(command.fiscal_year, japanese_holidays(command.fiscal_year), extra)
    wanted = kept.Calendar(extra, closed, check_hours(command.hours))
    if await kept.lock_calendar(tx.connection, tx.municipality, command.fiscal_year) == wanted:
        return
    version = await kept.save_calendar(tx.connection, tx.municipality, command.fiscal_year, wanted)
    event = CalendarChangedV1(
        fiscal_year=command.fiscal_year,
        closed_days=list(closed),
        opens_at=wanted.hours.opens_at,
        closes_at=wanted.hours.closes_at,
    )
    tx.emit(event, version=version)


async def set_rule(tx: Transaction, command: SetRule) -> None:
    """Set what a rule says from a day on; the same again changes nothing."""
    check_rule(command.rule, command.setting.value)
    effective_from, setting = command.effective_from or tx.today, command.setting
    if await kept.rule_setting(tx.connection, tx.municipality, command.rule, effective_from) == setting:
        return
    version = await kept.raise_rule(tx.connection, tx.municipality, command.rule)
    await kept.save_rule(tx.connection, tx.municipality, command.rule, effective_from, setting)
    event = RuleChangedV1(
        rule=command.rule,
        value=setting.value,
        article=setting.article,
        article_text=setting.article_text,
        fictional=setting.fictional,
        effective_from=effective_from,
    )
    tx.emit(event, version=version)

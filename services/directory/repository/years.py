"""Fiscal years, calendars, rules and the simulated clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from chassis.transaction import Connection
from services.directory.domain.years import Hours, RuleValue

INSERT_FISCAL_YEAR = """
INSERT INTO fiscal_years (municipality, fiscal_year, version, opened_at) VALUES ($1, $2, 1, $3)
ON CONFLICT (municipality, fiscal_year) DO NOTHING
RETURNING version
"""

LOCK_CALENDAR = """
SELECT version, extra_closed_days, closed_days, opens_at, closes_at
FROM calendars WHERE municipality = $1 AND fiscal_year = $2 FOR UPDATE
"""

UPSERT_CALENDAR = """
INSERT INTO calendars AS kept (municipality, fiscal_year, version, extra_closed_days, closed_days, opens_at, closes_at)
VALUES ($1, $2, 1, $3, $4, $5, $6)
ON CONFLICT (municipality, fiscal_year) DO UPDATE
SET version = kept.version + 1, extra_closed_days = excluded.extra_closed_days, closed_days = excluded.closed_days,
    opens_at = excluded.opens_at, closes_at = excluded.closes_at
RETURNING version
"""

RAISE_RULE = """
INSERT INTO rules AS kept (municipality, rule, version) VALUES ($1, $2, 1)
ON CONFLICT (municipality, rule) DO UPDATE SET version = kept.version + 1
RETURNING version
"""

SELECT_RULE_VALUE = """
SELECT value, article, article_text, fictional FROM rule_values
WHERE municipality = $1 AND rule = $2 AND effective_from = $3
"""

UPSERT_RULE_VALUE = """
INSERT INTO rule_values (municipality, rule, effective_from, value, article, article_text, fictional)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (municipality, rule, effective_from) DO UPDATE
SET value = excluded.value, article = excluded.article, article_text = excluded.article_text,
    fictional = excluded.fictional
"""

LOCK_CLOCK = "SELECT version FROM civil_clock FOR UPDATE"

UPSERT_CLOCK = """
INSERT INTO civil_clock AS kept (singleton, civil_at, machine_at, version) VALUES (true, $1, $2, 1)
ON CONFLICT (singleton) DO UPDATE
SET civil_at = excluded.civil_at, machine_at = excluded.machine_at, version = kept.version + 1
RETURNING version
"""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Closed days of a fiscal year: the town's own apart from all."""

    extra: tuple[date, ...]
    closed: tuple[date, ...]
    hours: Hours


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """What a rule says from a day on, by which article."""

    value: RuleValue
    article: str | None
    article_text: str | None
    fictional: bool


async def insert_fiscal_year(connection: Connection, municipality: str, fiscal_year: int, now: datetime) -> bool:
    """Open a fiscal year; false when it is open already."""
    return await connection.fetchval(INSERT_FISCAL_YEAR, municipality, fiscal_year, now) is not None


async def lock_calendar(connection: Connection, municipality: str, fiscal_year: int) -> Calendar | None:
    """The calendar of a fiscal year, locked."""
    row = await connection.fetchrow(LOCK_CALENDAR, municipality, fiscal_year)
    if row is None:
        return None
    hours = Hours(row["opens_at"], row["closes_at"])
    return Calendar(tuple(row["extra_closed_days"]), tuple(row["closed_days"]), hours)


async def save_calendar(connection: Connection, municipality: str, fiscal_year: int, calendar: Calendar) -> int:
    """Save a calendar; gives its version."""
    version: int = await connection.fetchval(
        UPSERT_CALENDAR,
        municipality,
        fiscal_year,
        _days(calendar.extra),
        _days(calendar.closed),
        calendar.hours.opens_at,
        calendar.hours.closes_at,
    )
    return version


def _days(days: Sequence[date]) -> list[date]:
    return list(days)


async def raise_rule(connection: Connection, municipality: str, rule: str) -> int:
    """Lock a rule and give its next version."""
    version: int = await connection.fetchval(RAISE_RULE, municipality, rule)
    return version


async def rule_setting(connection: Connection, municipality: str, rule: str, on: date) -> RuleSetting | None:
    """What was set for exactly that day."""
    row = await connection.fetchrow(SELECT_RULE_VALUE, municipality, rule, on)
    if row is None:
        return None
    return RuleSetting(json.loads(row["value"]), row["article"], row["article_text"], row["fictional"])


async def save_rule(connection: Connection, municipality: str, rule: str, on: date, setting: RuleSetting) -> None:
    """Save what a rule says from a day on."""
    await connection.execute(
        UPSERT_RULE_VALUE,
        municipality,
        rule,
        on,
        json.dumps(setting.value, ensure_ascii=False),
        setting.article,
        setting.article_text,
        setting.fictional,
    )


async def lock_clock(connection: Connection) -> int:
    """How often the simulated clock was set; 0: never. Locked once there is one."""
    return await connection.fetchval(LOCK_CLOCK) or 0


async def save_clock(connection: Connection, civil_at: datetime, machine_at: datetime) -> int:
    """Set the simulated clock; gives its version."""
    version: int = await connection.fetchval(UPSERT_CLOCK, civil_at, machine_at)
    return version

"""The town: its rules with their articles, its calendar, its fiscal years."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.directory import CalendarChangedV1, FiscalYearOpenedV1, RuleChangedV1

_RULES = """
INSERT INTO rules (municipality, rule, version, value, article, article_text, fictional, from_on)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::date[])
ON CONFLICT DO NOTHING
"""

_RULES_UNTIL = """
UPDATE rules AS it SET until_on = following.from_on - 1
FROM (
    SELECT municipality, rule, version,
           lead(from_on) OVER (PARTITION BY municipality, rule ORDER BY from_on, version) AS from_on
    FROM rules WHERE (municipality, rule) IN (SELECT * FROM unnest($1::text[], $2::text[]))
) AS following
WHERE it.municipality = following.municipality AND it.rule = following.rule AND it.version = following.version
  AND it.until_on IS DISTINCT FROM following.from_on - 1
"""


async def apply_rules(connection: Connection, records: Sequence[Received[RuleChangedV1]]) -> None:
    """Every rule of the town, dated; those this service does not know do no harm."""
    rules = [it.municipality for it in records], [it.event.rule for it in records]
    await connection.execute(
        _RULES,
        *rules,
        [it.version for it in records],
        [json.dumps(it.event.value, ensure_ascii=False) for it in records],
        [it.event.article for it in records],
        [it.event.article_text for it in records],
        [it.event.fictional for it in records],
        [it.event.effective_from for it in records],
    )
    await connection.execute(_RULES_UNTIL, *rules)


_CALENDARS = """
INSERT INTO calendars (municipality, fiscal_year, closed_days, closes_at)
SELECT municipality, fiscal_year, ARRAY(SELECT json_array_elements_text(days::json)::date), closes_at
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[]) AS it (municipality, fiscal_year, days, closes_at)
ON CONFLICT (municipality, fiscal_year) DO UPDATE
SET closed_days = excluded.closed_days, closes_at = excluded.closes_at
"""


async def apply_calendars(connection: Connection, records: Sequence[Received[CalendarChangedV1]]) -> None:
    """Closed days (閉庁日) and the closing hour, per fiscal year."""
    newest = list({(it.municipality, it.event.fiscal_year): it for it in records}.values())
    await connection.execute(
        _CALENDARS,
        [it.municipality for it in newest],
        [it.event.fiscal_year for it in newest],
        [json.dumps([day.isoformat() for day in it.event.closed_days]) for it in newest],
        [it.event.closes_at for it in newest],
    )


_FISCAL_YEARS = """
INSERT INTO fiscal_years (municipality, fiscal_year, starts_on, ends_on)
SELECT * FROM unnest($1::text[], $2::int[], $3::date[], $4::date[])
ON CONFLICT DO NOTHING
"""


async def apply_fiscal_years(connection: Connection, records: Sequence[Received[FiscalYearOpenedV1]]) -> None:
    """Fiscal years that the town has opened."""
    await connection.execute(
        _FISCAL_YEARS,
        [it.municipality for it in records],
        [it.event.fiscal_year for it in records],
        [it.event.starts_on for it in records],
        [it.event.ends_on for it in records],
    )

"""The coverage board (選出・配置): one row a section, sorted by what needs a hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import get_args
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.calendar import TOKYO, fiscal_year_ends_on, fiscal_year_starts_on
from chassis.http import View
from services.leaders.domain.coverage import Standing, standing
from services.leaders.domain.rules import CALL_CLOSES, LEADERS_PER_SECTION, TownRules
from services.leaders.queries.absences import absences_between
from services.leaders.queries.parts import ArticleView, RequestView, article_view, fiscal_year_label
from services.leaders.queries.row import CoverageRow, Moment, Status, coverage_row
from services.leaders.repository import coverages, facts


class RuleView(BaseModel):
    """The rule behind the board: leaders a section has at least."""

    leaders_per_section: int
    article: str | None
    text: str | None
    fictional: bool
    source: str = Field(description="（article）, （町の設定）, or nothing where the town has stored no rule")


class CoverageBoard(BaseModel):
    """Who leads which section, and what is still missing, at one moment."""

    fiscal_year: int
    fiscal_year_label: str
    as_of: datetime
    called_on: date | None = Field(description="day on which the sections were first asked; null: not called yet")
    closes_on: date | None = Field(description="of the year's call; null: not called yet")
    term_ends_on: date
    appointment_word: str
    rule: RuleView
    closing_article: ArticleView | None
    counts: dict[str, int] = Field(description="sections by status, and `sections`, `uncovered`, `never`")
    rows: list[CoverageRow]


_SECTIONS = """
SELECT section.section_id, coalesce(name.name, section.code) AS section_name,
       head.person_id AS head_person_id, head.post AS head_post, head_name.name AS head_name,
       it.section_call_id, it.state, it.closes_on, it.open_until, it.answered_at, coalesce(it.version, 0) AS version
FROM sections AS section
LEFT JOIN section_attributes AS attributes
       ON attributes.municipality = section.municipality AND attributes.section_id = section.section_id
      AND attributes.from_on <= $2 AND (attributes.until_on IS NULL OR attributes.until_on >= $2)
LEFT JOIN section_names AS name
       ON name.municipality = section.municipality AND name.section_id = section.section_id
      AND name.from_on <= $2 AND (name.until_on IS NULL OR name.until_on >= $2)
LEFT JOIN section_heads AS head
       ON head.municipality = section.municipality AND head.section_id = section.section_id
      AND head.person_id IS NOT NULL AND head.from_on <= $3 AND (head.until_on IS NULL OR head.until_on >= $3)
LEFT JOIN people AS head_name
       ON head_name.municipality = head.municipality AND head_name.person_id = head.person_id
LEFT JOIN section_calls AS it
       ON it.municipality = section.municipality AND it.section_id = section.section_id AND it.fiscal_year = $4
WHERE section.municipality = $1 AND section.from_on <= $2 AND (section.until_on IS NULL OR section.until_on >= $2)
ORDER BY attributes.display_order, section.section_id
"""

# Whoever is, will be or may become a leader in the year: appointments that reach into it, and standing nominations.
_LEADERS = """
WITH led AS (
    SELECT it.section_id, it.person_id, it.appointment_id, it.fiscal_year, it.starts_on, it.serves_on_from,
           CASE WHEN it.ended_from IS NOT NULL THEN it.ended_from - 1
                WHEN it.serves_on_from IS NOT NULL THEN NULL ELSE it.ends_on END AS ends_on,
           it.decided_on, it.decided_by_post, it.document_number, it.entered_by, it.entered_at,
           deputy.person_id AS deputy_person_id, deputy.from_on AS deputy_from_on, deputy.until_on AS deputy_until_on
    FROM appointments AS it
    LEFT JOIN deputies AS deputy
           ON deputy.municipality = it.municipality AND deputy.appointment_id = it.appointment_id
          AND deputy.ended_from IS NULL
    WHERE it.municipality = $1 AND NOT it.withdrawn AND it.fiscal_year <= $2
      AND (it.ended_from IS NULL OR it.ended_from > $3)
      AND (it.serves_on_from IS NOT NULL OR it.ends_on >= $3)
    UNION ALL
    SELECT it.section_id, nomination.person_id, NULL, it.fiscal_year, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL
    FROM section_calls AS it
    JOIN nominations AS nomination
      ON nomination.municipality = it.municipality AND nomination.section_call_id = it.section_call_id
     AND nomination.state = 'standing'
    WHERE it.municipality = $1 AND it.fiscal_year = $2
)
SELECT led.*, person.name, membership.post, deputy.name AS deputy_name, typist.name AS entered_by_name,
       (SELECT count(DISTINCT served.fiscal_year) FROM appointments AS served
        WHERE served.municipality = $1 AND served.person_id = led.person_id AND NOT served.withdrawn
          AND served.fiscal_year < led.fiscal_year) + 1 AS times_served
FROM led
LEFT JOIN people AS person ON person.municipality = $1 AND person.person_id = led.person_id
LEFT JOIN people AS deputy ON deputy.municipality = $1 AND deputy.person_id = led.deputy_person_id
LEFT JOIN people AS typist ON typist.municipality = $1 AND typist.person_id::text = led.entered_by
LEFT JOIN LATERAL (
    SELECT post FROM memberships
    WHERE municipality = $1 AND person_id = led.person_id AND NOT reverted
      AND from_on <= $4 AND (until_on IS NULL OR until_on >= $4)
    ORDER BY version DESC LIMIT 1
) AS membership ON true
ORDER BY led.fiscal_year DESC, led.starts_on NULLS FIRST, person.kana, led.person_id
"""

_CALL = "SELECT opened_at, closes_on FROM calls WHERE municipality = $1 AND fiscal_year = $2"

_REQUESTS = """
SELECT request.section_call_id, request.requested_at, request.reason
FROM section_call_requests AS request
JOIN section_calls AS it
  ON it.municipality = request.municipality AND it.section_call_id = request.section_call_id
WHERE it.municipality = $1 AND it.fiscal_year = $2
ORDER BY request.version
"""


async def coverage_board(view: View, fiscal_year: int, section_id: UUID | None = None) -> CoverageBoard:
    """The board of a fiscal year as it stands at the view's moment; ``section_id`` keeps one row."""
    connection, town = view.connection, view.municipality
    starts_on, ends_on = fiscal_year_starts_on(fiscal_year), fiscal_year_ends_on(fiscal_year)
    day = min(max(view.today, starts_on), ends_on)
    rules = await facts.rules_on(connection, town, day)
    sections = await connection.fetch(_SECTIONS, town, day, view.today, fiscal_year)
    leaders: dict[UUID, list[asyncpg.Record]] = {row["section_id"]: [] for row in sections}
    for row in await connection.fetch(_LEADERS, town, fiscal_year, day, view.today):
        leaders.setdefault(row["section_id"], []).append(row)
    requests: dict[UUID, list[RequestView]] = {}
    for row in await connection.fetch(_REQUESTS, town, fiscal_year):
        asked = RequestView(requested_at=row["requested_at"], reason=row["reason"])
        requests.setdefault(row["section_call_id"], []).append(asked)
    moment = Moment(
        fiscal_year,
        day,
        rules,
        await facts.closed_days(connection, town),
        await absences_between(view, day, ends_on),
        await _standings(view, [row["section_id"] for row in sections], rules.leaders_per_section, day),
    )
    rows = [
        coverage_row(row, leaders[row["section_id"]], requests.get(row["section_call_id"], []), moment)
        for row in sections
        if section_id in {None, row["section_id"]}
    ]
    order = {status: place for place, status in enumerate(get_args(Status))}
    rows.sort(key=lambda row: order[row.status])
    call = await connection.fetchrow(_CALL, town, fiscal_year)
    return CoverageBoard(
        fiscal_year=fiscal_year,
        fiscal_year_label=fiscal_year_label(fiscal_year),
        as_of=view.now,
        called_on=call["opened_at"].astimezone(TOKYO).date() if call else None,
        closes_on=call["closes_on"] if call else None,
        term_ends_on=ends_on,
        appointment_word=rules.appointment_word,
        rule=_rule(rules),
        closing_article=article_view(rules.article(CALL_CLOSES)),
        counts=_counts(rows),
        rows=rows,
    )


async def _standings(view: View, sections: Sequence[UUID], needed: int, day: date) -> dict[UUID, Standing]:
    said = await coverages.said_of(view.connection, view.municipality, sections)
    periods = await coverages.periods_of(view.connection, view.municipality, sections)
    return {section: standing(said[section], periods[section], needed, day) for section in sections}


def _rule(rules: TownRules) -> RuleView:
    article = rules.article(LEADERS_PER_SECTION)
    return RuleView(
        leaders_per_section=rules.leaders_per_section,
        article=article.name if article else None,
        text=article.text if article else None,
        fictional=article.fictional if article else False,
        source=rules.source(LEADERS_PER_SECTION),
    )


def _counts(rows: Sequence[CoverageRow]) -> dict[str, int]:
    found = Counter(row.status for row in rows)
    return {
        **{status: found[status] for status in get_args(Status)},
        "sections": len(rows),
        "uncovered": sum(not row.covered for row in rows),
        "never": sum(row.standing == "never" for row in rows),
    }

"""What one section was asked, whom it named, and whom it may name."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.calendar import fiscal_year_ends_on
from chassis.http import View
from chassis.refusals import NotFound
from services.leaders.domain.call import CallState, first_day
from services.leaders.domain.rules import CALL_CLOSES, LEADERS_PER_SECTION
from services.leaders.queries.absences import absences_between
from services.leaders.queries.parts import (
    ArticleView,
    HeadView,
    RequestView,
    article_view,
    fiscal_year_label,
)
from services.leaders.repository import facts

SEES_ALL = ("hr", "it_policy", "executive", "admin")
"""Roles that see every section's answer; a head sees the own one's."""


class SectionCallSummary(BaseModel):
    """One section's call in a list."""

    section_call_id: UUID
    fiscal_year: int
    fiscal_year_label: str
    section_id: UUID
    section_name: str
    head: HeadView | None
    state: CallState
    closes_on: date
    open_until: date
    answered_at: datetime | None
    version: int


class NominationView(BaseModel):
    """A person the section named. ``state``: standing (a decision is due), decided, or sent_back."""

    nomination_id: UUID
    person_id: UUID
    name: str | None
    post: str | None
    state: str
    nominated_by: UUID
    nominated_by_name: str | None
    nominated_at: datetime


class CandidateView(BaseModel):
    """A person of the section, main or 兼務, who may be named."""

    person_id: UUID
    name: str | None
    kana: str | None
    post: str | None
    concurrent: bool = Field(description="belongs to the section by 兼務")
    times_served: int = Field(description="fiscal years of service so far; 0: never")
    absence: str | None = Field(description="7月1日から不在; null: here")
    nominated: bool
    is_leader: bool = Field(description="is the section's leader for that fiscal year already")


class SectionCallView(SectionCallSummary):
    """One section's call, ready to be answered. ``can_answer``: answers are taken today."""

    can_answer: bool
    leaders_per_section: int
    people_article: ArticleView | None = Field(description="by which people of the section are named")
    closing_article: ArticleView | None = Field(description="by which the call closes")
    nominations: list[NominationView]
    candidates: list[CandidateView]
    requests: list[RequestView]


_CALLS = """
SELECT it.section_call_id, it.fiscal_year, it.section_id, it.state, it.closes_on, it.open_until, it.answered_at,
       it.version, coalesce(name.name, section.code, '') AS section_name,
       head.person_id AS head_person_id, head.post AS head_post, head_name.name AS head_name
FROM section_calls AS it
LEFT JOIN sections AS section ON section.municipality = it.municipality AND section.section_id = it.section_id
LEFT JOIN section_attributes AS attributes
       ON attributes.municipality = it.municipality AND attributes.section_id = it.section_id
      AND attributes.from_on <= $2 AND (attributes.until_on IS NULL OR attributes.until_on >= $2)
LEFT JOIN section_names AS name
       ON name.municipality = it.municipality AND name.section_id = it.section_id
      AND name.from_on <= $2 AND (name.until_on IS NULL OR name.until_on >= $2)
LEFT JOIN section_heads AS head
       ON head.municipality = it.municipality AND head.section_id = it.section_id AND head.person_id IS NOT NULL
      AND head.from_on <= $2 AND (head.until_on IS NULL OR head.until_on >= $2)
LEFT JOIN people AS head_name
       ON head_name.municipality = head.municipality AND head_name.person_id = head.person_id
WHERE it.municipality = $1
"""
_OWN = "AND ($3::uuid IS NULL OR head.person_id = $3)"


def _sees(caller: Caller) -> UUID | None:
    """Whose sections the caller may see: everybody's (``None``), or those the caller heads."""
    return None if caller.has(*SEES_ALL) else caller.person_id


async def section_calls(
    view: View, caller: Caller, fiscal_year: int | None, section_id: UUID | None
) -> list[SectionCallSummary]:
    """The section calls the caller may see, in the town's order of sections."""
    rows = await view.connection.fetch(
        f"""{_CALLS} {_OWN} AND ($4::int IS NULL OR it.fiscal_year = $4) AND ($5::uuid IS NULL OR it.section_id = $5)
        ORDER BY it.fiscal_year DESC, attributes.display_order, it.section_id LIMIT 1000""",
        view.municipality,
        view.today,
        _sees(caller),
        fiscal_year,
        section_id,
    )
    return [SectionCallSummary(**_summary(row)) for row in rows]


def _summary(row: asyncpg.Record) -> dict[str, object]:
    head = None
    if row["head_person_id"] is not None:
        head = HeadView(person_id=row["head_person_id"], name=row["head_name"], post=row["head_post"])
    own = ("section_call_id", "fiscal_year", "section_id", "section_name", "state", "closes_on", "open_until")
    return {
        **{name: row[name] for name in (*own, "answered_at", "version")},
        "fiscal_year_label": fiscal_year_label(row["fiscal_year"]),
        "head": head,
    }


async def section_call(view: View, caller: Caller, section_call_id: UUID) -> SectionCallView:
    """One section call with everything its page needs.

    Raises:
        NotFound: it is not there, or it is not the caller's to see.
    """
    sql = f"{_CALLS} {_OWN} AND it.section_call_id = $4"
    row = await view.connection.fetchrow(sql, view.municipality, view.today, _sees(caller), section_call_id)
    if row is None:
        raise NotFound
    rules = await facts.rules_on(view.connection, view.municipality, view.today)
    return SectionCallView(
        **_summary(row),
        can_answer=row["state"] in {"asked", "answered"} and view.today <= row["open_until"],
        leaders_per_section=rules.leaders_per_section,
        people_article=article_view(rules.article(LEADERS_PER_SECTION)),
        closing_article=article_view(rules.article(CALL_CLOSES)),
        nominations=await _nominations(view, section_call_id),
        candidates=await _candidates(view, row),
        requests=await _requests(view, section_call_id),
    )


_NOMINATIONS = """
SELECT it.nomination_id, it.person_id, person.name, membership.post, it.state, it.nominated_by,
       nominator.name AS nominated_by_name, it.nominated_at
FROM nominations AS it
LEFT JOIN people AS person ON person.municipality = it.municipality AND person.person_id = it.person_id
LEFT JOIN people AS nominator ON nominator.municipality = it.municipality AND nominator.person_id = it.nominated_by
LEFT JOIN LATERAL (
    SELECT post FROM memberships
    WHERE municipality = $1 AND person_id = it.person_id AND NOT reverted
      AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
    ORDER BY version DESC LIMIT 1
) AS membership ON true
WHERE it.municipality = $1 AND it.section_call_id = $2
ORDER BY it.nominated_at, it.nomination_id
"""


async def _nominations(view: View, section_call_id: UUID) -> list[NominationView]:
    rows = await view.connection.fetch(_NOMINATIONS, view.municipality, section_call_id, view.today)
    return [NominationView(**dict(row)) for row in rows]


_CANDIDATES = """
SELECT it.person_id, person.name, person.kana, it.post, it.section_id <> $2 AS concurrent,
       (SELECT count(DISTINCT served.fiscal_year) FROM appointments AS served
        WHERE served.municipality = $1 AND served.person_id = it.person_id AND NOT served.withdrawn
          AND served.fiscal_year < $4) AS times_served,
       EXISTS (SELECT FROM nominations AS named WHERE named.municipality = $1 AND named.person_id = it.person_id
               AND named.section_call_id = $5 AND named.state = 'standing') AS nominated,
       EXISTS (SELECT FROM appointments AS led WHERE led.municipality = $1 AND led.person_id = it.person_id
               AND led.section_id = $2 AND led.fiscal_year = $4 AND NOT led.withdrawn AND led.ended_from IS NULL)
       AS is_leader
FROM memberships AS it
LEFT JOIN people AS person ON person.municipality = it.municipality AND person.person_id = it.person_id
WHERE it.municipality = $1 AND (it.section_id = $2 OR $2 = ANY(it.concurrent_section_ids)) AND NOT it.reverted
  AND it.from_on <= $3 AND (it.until_on IS NULL OR it.until_on >= $3)
ORDER BY concurrent, person.kana COLLATE "C", it.person_id
"""


async def _candidates(view: View, call: asyncpg.Record) -> list[CandidateView]:
    day = first_day(call["fiscal_year"], view.today)
    away = await absences_between(view, day, max(day, fiscal_year_ends_on(call["fiscal_year"])))
    rows = await view.connection.fetch(
        _CANDIDATES, view.municipality, call["section_id"], day, call["fiscal_year"], call["section_call_id"]
    )
    return [
        CandidateView(**dict(row), absence=away[row["person_id"]][0].words if row["person_id"] in away else None)
        for row in rows
    ]


async def _requests(view: View, section_call_id: UUID) -> list[RequestView]:
    sql = """
    SELECT requested_at, reason FROM section_call_requests
    WHERE municipality = $1 AND section_call_id = $2 ORDER BY version
    """
    rows = await view.connection.fetch(sql, view.municipality, section_call_id)
    return [RequestView(**dict(row)) for row in rows]

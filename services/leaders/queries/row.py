"""One row of the coverage board: how a section stands, and what needs a hand there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.calendar import TOKYO, working_days_between
from services.leaders.domain.coverage import Standing
from services.leaders.domain.rules import DEPUTY_WHEN_ABSENT, LEADERS_PER_SECTION, TownRules
from services.leaders.domain.wording import short
from services.leaders.queries.absences import Absence
from services.leaders.queries.parts import (
    DecisionView,
    HeadView,
    LeaderView,
    RequestView,
    WarningView,
    deputy_of,
    warning,
)

Status = Literal["late", "none", "absent", "awaiting_decision", "asked", "expiring", "appointed"]
"""In the order of the board: what needs a hand first."""

EXPIRES_WITHIN_DAYS = 31


class CoverageRow(BaseModel):
    """One section of the board."""

    section_id: UUID
    section_name: str
    head: HeadView | None = Field(description="null: the post is vacant")
    section_call_id: UUID | None
    version: int = Field(description="of the section call; 0 without one")
    status: Status
    late_working_days: int = Field(description="開庁日 since the closing date without an answer; else 0")
    leaders: list[LeaderView]
    answered_on: date | None
    open_until: date | None = Field(description="answers are taken until then; later than closes_on once asked again")
    requests: list[RequestView]
    decision: DecisionView | None
    entered_by: str | None = Field(description="name of who recorded the decision")
    entered_at: datetime | None
    covered: bool
    standing: Standing = Field(
        description="covered; lost: had enough leaders and has them no more; never: not yet once"
    )
    warning: WarningView | None


@dataclass(frozen=True, slots=True)
class Moment:
    """What every row of the board is judged by."""

    fiscal_year: int
    today: date
    rules: TownRules
    closed_days: AbstractSet[date]
    absences: Mapping[UUID, Sequence[Absence]]
    standings: Mapping[UUID, Standing]


def coverage_row(
    section: asyncpg.Record, leaders: Sequence[asyncpg.Record], requests: Sequence[RequestView], moment: Moment
) -> CoverageRow:
    """What the board says of a section, by its leaders and candidates and what it was asked."""
    late = _late_working_days(section, moment)
    decided = next((row for row in leaders if row["appointment_id"] and row["fiscal_year"] == moment.fiscal_year), None)
    return CoverageRow(
        section_id=section["section_id"],
        section_name=section["section_name"],
        head=_head(section),
        section_call_id=section["section_call_id"],
        version=section["version"],
        status=_status(section, leaders, late, moment),
        late_working_days=late,
        leaders=[_leader(row, moment) for row in leaders],
        answered_on=section["answered_at"].astimezone(TOKYO).date() if section["answered_at"] else None,
        open_until=section["open_until"],
        requests=list(requests),
        decision=decided
        and DecisionView(
            decided_on=decided["decided_on"],
            decided_by_post=decided["decided_by_post"],
            document_number=decided["document_number"],
        ),
        entered_by=decided and decided["entered_by_name"],
        entered_at=decided and decided["entered_at"],
        covered=moment.standings[section["section_id"]] == "covered",
        standing=moment.standings[section["section_id"]],
        warning=_warning(section, leaders, moment),
    )


def _head(section: asyncpg.Record) -> HeadView | None:
    if section["head_person_id"] is None:
        return None
    return HeadView(person_id=section["head_person_id"], name=section["head_name"], post=section["head_post"])


def _late_working_days(section: asyncpg.Record, moment: Moment) -> int:
    if section["state"] != "asked":
        return 0
    return working_days_between(section["closes_on"], moment.today, moment.closed_days)


def _status(section: asyncpg.Record, leaders: Sequence[asyncpg.Record], late: int, moment: Moment) -> Status:
    appointed = [row for row in leaders if row["appointment_id"]]
    if section["state"] == "answered":
        return "awaiting_decision"
    if section["state"] == "asked":
        return "late" if late else "asked"
    if not appointed:
        return "none"
    if all(_away(row, moment) for row in appointed):
        return "absent"
    soon = moment.today + timedelta(days=EXPIRES_WITHIN_DAYS)
    if all(row["ends_on"] is None or row["ends_on"] <= soon for row in appointed):
        return "expiring"
    return "appointed"


def _away(row: asyncpg.Record, moment: Moment) -> bool:
    """Away today, and nobody stands in."""
    away = any(
        it.from_on <= moment.today and (it.until_on is None or it.until_on >= moment.today)
        for it in moment.absences.get(row["person_id"], [])
    )
    stood_in = row["deputy_person_id"] and row["deputy_from_on"] <= moment.today
    return away and not stood_in


def _leader(row: asyncpg.Record, moment: Moment) -> LeaderView:
    return LeaderView(
        person_id=row["person_id"],
        name=row["name"],
        post=row["post"],
        times_served=row["times_served"],
        appointment_id=row["appointment_id"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        deputy=deputy_of(row),
        note="・".join(_notes(row, moment)),
    )


def _notes(row: asyncpg.Record, moment: Moment) -> list[str]:
    notes = ["新任" if row["times_served"] == 1 else f"{row['times_served']}回目"]
    if row["serves_on_from"] is not None and row["ends_on"] is None:
        notes.append("後任が決まるまで続けます")
    elif row["starts_on"] is not None and row["starts_on"] > moment.today:
        notes.append(f"{short(row['starts_on'])}から")
    if row["starts_on"] is not None and row["decided_on"] is not None and row["starts_on"] < row["decided_on"]:
        notes.append(f"任期の始めは決裁日より前の{short(row['starts_on'])}")
    return notes


def _warning(section: asyncpg.Record, leaders: Sequence[asyncpg.Record], moment: Moment) -> WarningView | None:
    for row in leaders:
        away = moment.absences.get(row["person_id"], [])
        if away and row["deputy_person_id"] is None:
            name = f"{row['name']}さんが" if len(leaders) > 1 and row["name"] else ""
            if moment.rules.deputy_when_absent:
                text = f"{name}{away[0].words}です。代理を1人決めてください"
                return warning(text, moment.rules, DEPUTY_WHEN_ABSENT)
            return WarningView(text=f"{name}{away[0].words}です。", article=None)
    if section["state"] == "asked" and section["head_person_id"] is None:
        return WarningView(text="課の長が空席で、お願いの宛先がありません。総務課が代わりに選べます。", article=None)
    missing = moment.rules.leaders_per_section - sum(row["appointment_id"] is not None for row in leaders)
    if missing > 0 and section["state"] == "decided":
        return warning(f"リーダーがあと{missing}人必要です", moment.rules, LEADERS_PER_SECTION)
    return None

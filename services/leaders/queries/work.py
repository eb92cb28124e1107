"""今日の仕事: what the service wants from a person today."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from chassis.auth import Caller
from chassis.calendar import at, fiscal_year_ends_on, fiscal_year_of
from chassis.http import Target, View, WorkItem
from services.leaders.domain.rules import CALL_CLOSES, DEPUTY_WHEN_ABSENT, LEADERS_PER_SECTION, TownRules
from services.leaders.domain.wording import written
from services.leaders.queries.absences import absences_between
from services.leaders.queries.board import CoverageBoard, coverage_board
from services.leaders.queries.parts import fiscal_year_label
from services.leaders.repository import facts

_END_OF_DAY = "23:59"
_ABSENCE_IN_SIGHT = timedelta(days=31)


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """A head's calls to answer, hr's calls to decide and to remind, absences that need a deputy."""
    rules = await facts.rules_on(view.connection, view.municipality, view.today)
    items = [*await _to_nominate(view, caller, rules), *await _to_stand_in(view, caller, rules)]
    if caller.has("hr"):
        items += await _for_hr(view, rules)
    return items


_TO_NOMINATE = """
SELECT it.section_call_id, it.fiscal_year, it.open_until, name.name AS section_name,
       (SELECT max(requested_at) FROM section_call_requests AS request
        WHERE request.municipality = $1 AND request.section_call_id = it.section_call_id) AS requested_at,
       (SELECT reason FROM section_call_requests AS request
        WHERE request.municipality = $1 AND request.section_call_id = it.section_call_id
        ORDER BY version DESC LIMIT 1) AS reason
FROM section_heads AS head
JOIN section_calls AS it
  ON it.municipality = head.municipality AND it.section_id = head.section_id AND it.state = 'asked'
LEFT JOIN section_names AS name
       ON name.municipality = it.municipality AND name.section_id = it.section_id
      AND name.from_on <= $3 AND (name.until_on IS NULL OR name.until_on >= $3)
WHERE head.municipality = $1 AND head.person_id = $2
  AND head.from_on <= $3 AND (head.until_on IS NULL OR head.until_on >= $3)
ORDER BY it.open_until
"""


async def _to_nominate(view: View, caller: Caller, rules: TownRules) -> list[WorkItem]:
    rows = await view.connection.fetch(_TO_NOMINATE, view.municipality, caller.person_id, view.today)
    hours = await _closing_hours(view) if rows else {}
    return [
        WorkItem(
            id=f"nominate/{row['section_call_id']}",
            kind="nominate",
            title=f"{row['section_name'] or ''}のリーダーを選ぶ",
            note=_nominate_note(row["reason"], row["open_until"], row["fiscal_year"], view.today, rules),
            due_at=_due(row["open_until"], hours),
            since=row["requested_at"],
            target=Target(kind="section-call", id=str(row["section_call_id"])),
        )
        for row in rows
    ]


def _nominate_note(reason: str | None, open_until: date, fiscal_year: int, today: date, rules: TownRules) -> str:
    if open_until < today:
        return (
            f"受け付けは{written(open_until)}に終わりました{rules.source(CALL_CLOSES)}。総務課に再送を頼んでください。"
        )
    if reason is not None:
        return f"差し戻されました。理由：{reason}"
    return f"{fiscal_year_label(fiscal_year)}。{rules.leaders_per_section}人以上{rules.source(LEADERS_PER_SECTION)}"


async def _closing_hours(view: View) -> Mapping[int, str]:
    sql = "SELECT fiscal_year, closes_at FROM calendars WHERE municipality = $1"
    return {row["fiscal_year"]: row["closes_at"] for row in await view.connection.fetch(sql, view.municipality)}


def _due(day: date, hours: Mapping[int, str]) -> datetime:
    """The hour at which the town hall closes on that day, or the end of the day where it is not known."""
    return at(day, hours.get(fiscal_year_of(day), _END_OF_DAY))


_TO_STAND_IN = """
SELECT DISTINCT it.appointment_id, it.person_id, it.entered_at, person.name, name.name AS section_name
FROM appointments AS it
LEFT JOIN section_heads AS head
       ON head.municipality = it.municipality AND head.section_id = it.section_id
      AND head.from_on <= $3 AND (head.until_on IS NULL OR head.until_on >= $3)
LEFT JOIN people AS person ON person.municipality = it.municipality AND person.person_id = it.person_id
LEFT JOIN section_names AS name
       ON name.municipality = it.municipality AND name.section_id = it.section_id
      AND name.from_on <= $3 AND (name.until_on IS NULL OR name.until_on >= $3)
WHERE it.municipality = $1 AND (it.person_id = $2 OR head.person_id = $2 OR $4)
  AND NOT it.withdrawn AND it.ended_from IS NULL AND (it.serves_on_from IS NOT NULL OR it.ends_on >= $3)
  AND NOT EXISTS (SELECT FROM deputies AS deputy WHERE deputy.municipality = $1
                  AND deputy.appointment_id = it.appointment_id AND deputy.ended_from IS NULL)
"""


async def _to_stand_in(view: View, caller: Caller, rules: TownRules) -> list[WorkItem]:
    """A leader who is, or soon will be, away and has no deputy: for the leader, the head and hr."""
    if not rules.deputy_when_absent:
        return []
    away = await absences_between(view, view.today, view.today + _ABSENCE_IN_SIGHT)
    if not away:
        return []
    rows = await view.connection.fetch(_TO_STAND_IN, view.municipality, caller.person_id, view.today, caller.has("hr"))
    return [
        WorkItem(
            id=f"deputy/{row['appointment_id']}",
            kind="mend",
            title=f"{row['section_name'] or ''}のリーダーの代理を決める",
            note=f"{row['name'] or ''}さんが{away[row['person_id']][0].words}です{rules.source(DEPUTY_WHEN_ABSENT)}",
            due_at=at(max(away[row["person_id"]][0].from_on, view.today), _END_OF_DAY),
            since=row["entered_at"],
            target=Target(kind="appointment", id=str(row["appointment_id"])),
        )
        for row in rows
        if row["person_id"] in away
    ]


async def _for_hr(view: View, rules: TownRules) -> list[WorkItem]:
    items: list[WorkItem] = []
    for year in await _years_at_work(view):
        board = await coverage_board(view, year)
        items += [*_to_decide(board), *_to_remind(board), *_uncovered(board, rules)]
    return items


async def _years_at_work(view: View) -> list[int]:
    sql = "SELECT fiscal_year FROM calls WHERE municipality = $1 ORDER BY fiscal_year"
    years = [row["fiscal_year"] for row in await view.connection.fetch(sql, view.municipality)]
    return [year for year in years if fiscal_year_ends_on(year) >= view.today]


def _to_decide(board: CoverageBoard) -> list[WorkItem]:
    waiting = [row for row in board.rows if row.status == "awaiting_decision"]
    if not waiting:
        return []
    return [
        WorkItem(
            id=f"decide/{board.fiscal_year}",
            kind="decide",
            title=f"決裁待ちの選出 {len(waiting)}課",
            note=f"{board.fiscal_year_label}。{'、'.join(row.section_name for row in waiting[:3])}"
            + ("ほか" if waiting[3:] else ""),
            since=_earliest(board, [row.answered_on for row in waiting]),
            target=Target(kind="coverage", id=str(board.fiscal_year)),
        )
    ]


def _to_remind(board: CoverageBoard) -> list[WorkItem]:
    return [
        WorkItem(
            id=f"remind/{row.section_call_id}",
            kind="mend",
            title=f"{row.section_name}にお願いを再送する",
            note=f"遅れ {row.late_working_days}開庁日。お願い {len(row.requests)}回",
            since=at(board.closes_on or board.as_of.date(), _END_OF_DAY),
            target=Target(kind="section-call", id=str(row.section_call_id)),
        )
        for row in board.rows
        if row.status == "late"
    ]


def _uncovered(board: CoverageBoard, rules: TownRules) -> list[WorkItem]:
    return [
        WorkItem(
            id=f"uncovered/{row.section_id}/{board.fiscal_year}",
            kind="mend",
            title=f"{row.section_name}にリーダーが{'まだ' if row.standing == 'never' else ''}いません",
            note=f"補う人の選出をお願いしてください{rules.source(LEADERS_PER_SECTION)}",
            since=board.as_of,
            target=Target(kind="section-call", id=str(row.section_call_id)),
        )
        for row in board.rows
        if row.status == "none" and row.section_call_id is not None
    ]


def _earliest(board: CoverageBoard, days: list[date | None]) -> datetime:
    return at(min((day for day in days if day is not None), default=board.as_of.date()), "00:00")

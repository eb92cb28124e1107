"""選出・配置: every section of a fiscal year, and the town's decision beside who entered it."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.calendar import fiscal_year_ends_on, fiscal_year_of
from chassis.refusals import Forbidden
from services.portal.gateway import Done, MadeFact, Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.pages.wording import (
    COVERAGE,
    Sign,
    Step,
    call_steps,
    coverage_note,
    csv_cell,
    day_short,
    fiscal_year_label,
    person,
    years_around,
)
from services.portal.queries import staff
from services.portal.queries.coverage import Board, BoardRow, known_years

router = APIRouter(prefix="/coverage", include_in_schema=False)

Year = Annotated[int | None, Query(ge=2000, le=2100)]
_ORDER = {status: place for place, status in enumerate(COVERAGE)}
_DECISION_PLACES = {"section_call_ids": "section_call_ids", "decided_by_post": "decided_by_post"}


def state_of(row: BoardRow) -> str:
    """A section's state on the board; one that was never asked waits for the call, not for a hand."""
    if row.status == "none" and row.section_call_id is None:
        return "not_asked"
    return row.status if row.status in COVERAGE else "not_asked"


def _counted(board: Board) -> list[tuple[Sign, int]]:
    states = [state_of(row) for row in board.rows]
    return [(sign, states.count(state)) for state, sign in COVERAGE.items() if state in states]


def _steps(board: Board, today: date) -> list[Step]:
    states = [state for row in board.rows if (state := state_of(row)) != "not_asked"]
    return call_steps(states, board.called_on, board.closes_on, board.term_ends_on, today)


def _needing_first(board: Board) -> Board:
    rows = sorted(board.rows, key=lambda row: (_ORDER[state_of(row)], -(row.late_working_days or 0)))
    return board.model_copy(update={"rows": rows})


async def _board(desk: Desk, year: int) -> Board:
    if not desk.identity.has("hr", "it_policy"):
        raise Forbidden
    return _needing_first(await desk.services.read("leaders", "/coverage", Board, {"fiscal_year": year}))


async def _page(desk: Desk, year: int, forms: dict[str, Form] | None = None, status: int = 200) -> Response:
    board, known, absences = await asyncio.gather(
        part(_board(desk, year)), known_years(desk.services), staff.absences(desk.services)
    )
    return await desk.page(
        "coverage.html",
        status=status if board.content else 503,
        forms={name: (forms or {}).get(name, Form()) for name in ("decide", "remind", "call", "year")},
        board=board,
        year=year,
        year_is_open=year in known,
        years=years_around(desk.now, [*known, year]),
        ends_on=fiscal_year_ends_on(year),
        state_of=state_of,
        counted=_counted(board.content) if board.content else [],
        steps=_steps(board.content, desk.now.date()) if board.content else [],
        may_decide=desk.identity.has("hr"),
        absences=absences,
        coverage_note=coverage_note,
    )


def _year(desk: Desk, year: int | None) -> int:
    return year or fiscal_year_of(desk.now.date())


@router.get("")
async def coverage(desk: Visitor, year: Year = None) -> Response:
    """The board of one fiscal year."""
    return await _page(desk, _year(desk, year))


@router.post("/decisions")
async def decide(desk: Visitor, year: Year = None) -> Response:
    """Record the town's decision on the ticked sections, or send their answers back with a reason."""
    submission = await desk.submission()
    form, chosen = submission.form(), submission.ids("section_call_ids")
    year = _year(desk, year)
    sending_back = bool(submission.text("send_back"))
    if not chosen:
        form.errors["section_call_ids"] = "課を1つ以上選んでください。"
    if sending_back and not submission.text("reason"):
        form.errors["reason"] = "差し戻す理由を入れてください。課の長に届きます。"
    if not sending_back:
        for name, sentence in (
            ("decided_on", "決裁日を入れてください。"),
            ("decided_by_post", "決裁者の職を入れてください。"),
        ):
            if not submission.text(name):
                form.errors[name] = sentence
    if form.errors:
        return await _page(desk, year, {"decide": form}, 422)
    try:
        if sending_back:
            done = await _send_back(desk, chosen, submission.text("reason"), submission.key)
            return await desk.done(
                f"/coverage?year={year}", f"{len(chosen)}課に差し戻しました。", done, audience="notifications"
            )
        body = {
            "section_call_ids": chosen,
            "decided_on": submission.text("decided_on"),
            "decided_by_post": submission.text("decided_by_post"),
        }
        if submission.text("document_number"):
            body["document_number"] = submission.text("document_number")
        done = await desk.services.command("leaders", "/decisions", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _page(desk, year, {"decide": form}, refused_at(form, error, _DECISION_PLACES))
    return await desk.done(
        f"/coverage?year={year}",
        f"{len(chosen)}課の決裁を記録しました。選任の記録ができ、本人と課の長に知らせます。",
        done,
        audience="notifications",
    )


async def _send_back(desk: Desk, chosen: list[str], reason: str, key: str) -> Done:
    facts: list[MadeFact] = []
    for each in chosen:
        done = await desk.services.command(
            "leaders", f"/section-calls/{each}/rejections", f"{key}/{each}", {"reason": reason}
        )
        facts += done.facts
    return Done(None, tuple(facts))


@router.post("/reminders")
async def remind(desk: Visitor, year: Year = None) -> Response:
    """Send the request again to one late section, or to all of them."""
    submission = await desk.submission()
    form, chosen = submission.form(), submission.ids("section_call_id")
    year = _year(desk, year)
    facts: list[MadeFact] = []
    try:
        for each in chosen:
            done = await desk.services.command(
                "leaders", f"/section-calls/{each}/reminders", f"{submission.key}/{each}"
            )
            facts += done.facts
    except (Refused, ServiceDown) as error:
        return await _page(desk, year, {"remind": form}, refused_at(form, error))
    return await desk.done(
        f"/coverage?year={year}",
        f"{len(chosen)}課にお願いを再送しました。",
        Done(None, tuple(facts)),
        audience="notifications",
    )


@router.post("/calls")
async def call(desk: Visitor, year: Year = None) -> Response:
    """Ask every section to name its leaders."""
    submission = await desk.submission()
    form, year = submission.form(), _year(desk, year)
    if not submission.text("closes_on"):
        form.errors["closes_on"] = "選出の期限を入れてください。"
        return await _page(desk, year, {"call": form}, 422)
    try:
        done = await desk.services.command(
            "leaders", "/calls", submission.key, {"fiscal_year": year, "closes_on": submission.text("closes_on")}
        )
    except (Refused, ServiceDown) as error:
        return await _page(desk, year, {"call": form}, refused_at(form, error))
    return await desk.done(
        f"/coverage?year={year}",
        f"{fiscal_year_label(year)}の選出をお願いしました。",
        done,
        audience="notifications",
    )


@router.post("/years")
async def open_year(desk: Visitor, year: Year = None) -> Response:
    """Open a fiscal year; its calls come after."""
    submission = await desk.submission()
    form, year = submission.form(), _year(desk, year)
    try:
        done = await desk.services.command("directory", "/fiscal-years", submission.key, {"fiscal_year": year})
    except (Refused, ServiceDown) as error:
        return await _page(desk, year, {"year": form}, refused_at(form, error))
    return await desk.done(
        f"/coverage?year={year}", f"{fiscal_year_label(year)}を開きました。", done, audience="leaders"
    )


_COLUMNS = ("課", "課の長", "状態", "遅れ（開庁日）", "リーダー（候補）", "回答日", "お願い", "決裁日", "決裁者の職",
            "文書番号", "入力者")  # fmt: skip


@router.get("/board.csv")
async def board_csv(desk: Visitor, year: Year = None) -> Response:
    """The board as CSV; the mark at its start tells Excel that it is UTF-8."""
    chosen = _year(desk, year)
    board = await _board(desk, chosen)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in board.rows:
        decision = row.decision
        writer.writerow(
            csv_cell(cell)
            for cell in (
                row.section_name,
                f"{row.head.post or ''} {person(row.head.name)}".strip() if row.head else "空席",
                COVERAGE[state_of(row)].word,
                row.late_working_days or "",
                "、".join(person(leader.name) for leader in row.leaders),
                row.answered_on or "",
                "、".join(day_short(each.requested_at) for each in row.requests),
                (decision.decided_on if decision else "") or "",
                (decision.decided_by_post if decision else "") or "",
                (decision.document_number if decision else "") or "",
                row.entered_by or "",
            )
        )
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="coverage-{chosen}.csv"'},
    )

"""The yearly call, its answers, decisions on them, and the coverage board."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import Field

from chassis.auth import Caller
from chassis.calendar import fiscal_year_of
from chassis.http import Commands, Views, allow
from services.leaders.commands.decide import Decided, DecideNominations, decide_nominations
from services.leaders.commands.nominate import Nominated, NominateLeaders, nominate_leaders
from services.leaders.commands.open_call import CallOpened, OpenCall, open_call
from services.leaders.commands.remind import Asked, Remind, remind
from services.leaders.commands.send_back import SendBack, send_back
from services.leaders.domain.appointment import Decision
from services.leaders.queries import board, calls
from services.leaders.routes.fields import Body, Day, Line, Reason, Year

router = APIRouter(tags=["calls"])

Hr = Annotated[Caller, Depends(allow("hr"))]
Answering = Annotated[Caller, Depends(allow("hr", "section_head"))]
Looking = Annotated[Caller, Depends(allow("hr", "it_policy", "executive", "admin", "section_head"))]
Controlling = Annotated[Caller, Depends(allow("hr", "it_policy", "executive", "admin"))]


class CallBody(Body):
    """Ask every section for a fiscal year; they answer by ``closes_on`` (inclusive)."""

    fiscal_year: Year
    closes_on: Day


class NominationsBody(Body):
    """The people whom the section names."""

    person_ids: list[UUID] = Field(min_length=1, max_length=50)


class RejectionBody(Body):
    """Why the answer is sent back; shown to the section's head, published nowhere."""

    reason: Reason


class ReminderBody(Body):
    """Until when the section may answer; left out: its date, or five open days when that has passed."""

    answer_by: Day | None = None


class DecisionBody(Body):
    """The town's decision (決裁) on these sections' answers. The document number is minted by the town's own system.

    ``starts_on``: first day of the terms. Left out it is the day of the decision, or 1 April of a year to come; a term
    that shall begin before its decision must say so here.
    """

    section_call_ids: list[UUID] = Field(min_length=1, max_length=500)
    decided_on: Day
    decided_by_post: Line
    document_number: Line | None = None
    starts_on: Day | None = None


@router.post("/calls", status_code=201, response_model=CallOpened)
async def call_sections(body: CallBody, caller: Hr, commands: Commands) -> Response:
    """Ask every section to name its leaders for a fiscal year (選出のお願い)."""
    command = OpenCall(body.fiscal_year, body.closes_on, caller.person_id)
    return await commands.run(caller, lambda tx: open_call(tx, command), status=201)


@router.get("/section-calls")
async def list_section_calls(
    caller: Looking,
    views: Views,
    fiscal_year: Annotated[int | None, Query(ge=2000, le=2200)] = None,
    section_id: UUID | None = None,
) -> list[calls.SectionCallSummary]:
    """What each section was asked; a head sees the own section's only."""
    async with views.of(caller) as view:
        return await calls.section_calls(view, caller, fiscal_year, section_id)


@router.get("/section-calls/{section_call_id}")
async def get_section_call(section_call_id: UUID, caller: Looking, views: Views) -> calls.SectionCallView:
    """One section's call with whom it named, whom it may name, and by which articles."""
    async with views.of(caller) as view:
        return await calls.section_call(view, caller, section_call_id)


@router.post("/section-calls/{section_call_id}/nominations", status_code=201, response_model=Nominated)
async def nominate(section_call_id: UUID, body: NominationsBody, caller: Answering, commands: Commands) -> Response:
    """Name people as the section's leaders: its head does, or hr on its behalf."""
    command = NominateLeaders(section_call_id, tuple(body.person_ids), caller.person_id, is_hr=caller.has("hr"))
    return await commands.run(caller, lambda tx: nominate_leaders(tx, command), status=201)


@router.post("/section-calls/{section_call_id}/rejections", status_code=201, response_model=Asked)
async def reject(section_call_id: UUID, body: RejectionBody, caller: Hr, commands: Commands) -> Response:
    """Send the section's answer back with a reason (差し戻し); it is asked again."""
    command = SendBack(section_call_id, body.reason)
    return await commands.run(caller, lambda tx: send_back(tx, command), status=201)


@router.post("/section-calls/{section_call_id}/reminders", status_code=201, response_model=Asked)
async def remind_section(
    section_call_id: UUID, caller: Hr, commands: Commands, body: ReminderBody | None = None
) -> Response:
    """Ask a section again (お願いの再送): a late one, or one that has lost a leader."""
    command = Remind(section_call_id, body.answer_by if body else None)
    return await commands.run(caller, lambda tx: remind(tx, command), status=201)


@router.post("/decisions", status_code=201, response_model=Decided)
async def decide(body: DecisionBody, caller: Hr, commands: Commands) -> Response:
    """Record the decision on the answers of all these sections, or of none: the people named become leaders."""
    decision = Decision(body.decided_on, body.decided_by_post, body.document_number)
    command = DecideNominations(tuple(body.section_call_ids), decision, body.decided_on, body.starts_on)
    return await commands.run(caller, lambda tx: decide_nominations(tx, command), status=201)


@router.get("/coverage")
async def get_coverage(
    caller: Controlling, views: Views, fiscal_year: Annotated[int | None, Query(ge=2000, le=2200)] = None
) -> board.CoverageBoard:
    """The coverage board of a fiscal year (default: the present one), what needs a hand first."""
    async with views.of(caller) as view:
        return await board.coverage_board(view, fiscal_year or fiscal_year_of(view.today))

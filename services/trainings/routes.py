"""HTTP of ``trainings``."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, Views, allow, anybody
from services.trainings import queries
from services.trainings.commands import (
    Offered,
    OfferProgramme,
    RecordCompletions,
    Recorded,
    RevokeCompletion,
    offer_programme,
    record_completions,
    revoke_completion,
)
from services.trainings.domain import Source

router = APIRouter(tags=["trainings"])

Anybody = Annotated[Caller, Depends(anybody)]
OfADesk = Annotated[Caller, Depends(allow("hr", "it_policy"))]

# PostgreSQL's text holds no NUL, and a title is one line.
Line = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
LongText = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]
Day = Annotated[date, Field(ge=date(1950, 1, 1), le=date(2201, 12, 31))]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProgrammeBody(_Body):
    """A programme that people can complete."""

    title: Line
    summary: LongText = ""


class CompletionsBody(_Body):
    """These people completed the programme on that day; ``source`` says how the town knows."""

    programme_id: UUID
    person_ids: list[UUID] = Field(min_length=1, max_length=1000)
    completed_on: Day
    source: Source


@router.post("/programmes", status_code=201, response_model=Offered)
async def offer(body: ProgrammeBody, caller: OfADesk, commands: Commands) -> Response:
    """Offer a programme."""
    command = OfferProgramme(body.title, body.summary, caller.person_id)
    return await commands.run(caller, lambda tx: offer_programme(tx, command), status=201)


@router.get("/programmes")
async def list_programmes(caller: Anybody, views: Views) -> list[queries.ProgrammeView]:
    """The town's programmes and how many of its leaders completed each."""
    async with views.of(caller) as view:
        return await queries.programmes(view, caller)


@router.get("/programmes/{programme_id}")
async def get_programme(programme_id: UUID, caller: Anybody, views: Views) -> queries.ProgrammeDetail:
    """One programme; the desks also see which leaders have not completed it yet."""
    async with views.of(caller) as view:
        return await queries.programme(view, caller, programme_id)


@router.post("/completions", status_code=201, response_model=Recorded)
async def record(body: CompletionsBody, caller: OfADesk, commands: Commands) -> Response:
    """Record that people completed a programme: all of them, or none."""
    command = RecordCompletions(
        body.programme_id, tuple(body.person_ids), body.completed_on, body.source, caller.person_id
    )
    return await commands.run(caller, lambda tx: record_completions(tx, command), status=201)


@router.get("/completions")
async def list_completions(
    caller: Anybody, views: Views, paging: Paging, person_id: UUID | None = None, programme_id: UUID | None = None
) -> Page[queries.CompletionView]:
    """Who completed what; who is of no desk sees the own completions."""
    async with views.of(caller) as view:
        return await queries.completions(view, caller, person_id, programme_id, paging)


@router.post("/completions/{completion_id}/revocation", status_code=204)
async def revoke(completion_id: UUID, caller: OfADesk, commands: Commands) -> Response:
    """Take back a completion that was recorded wrongly; its record stays, marked."""
    command = RevokeCompletion(completion_id, caller.person_id)
    return await commands.run(caller, lambda tx: revoke_completion(tx, command))

"""HTTP of ``trainings``."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, View, Views, allow, anybody
from chassis.transaction import Transaction
from services.trainings import commands, queries
from services.trainings.domain import Source
from services.trainings.queries import CompletionView, ProgrammeView, Recorded

router = APIRouter(tags=["trainings"])

Anybody = Annotated[Caller, Depends(anybody)]
Organiser = Annotated[Caller, Depends(allow("hr", "it_policy"))]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Summary = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class ProgrammeBody(BaseModel):
    """A programme: its title is unique in the town."""

    model_config = ConfigDict(extra="forbid")

    title: Title
    summary: Summary = ""


class CompletionsBody(BaseModel):
    """Who completed what, when; all of them or nobody."""

    model_config = ConfigDict(extra="forbid")

    programme_id: UUID
    person_ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    completed_on: date
    source: Source = "attendance"


def _view(tx: Transaction) -> View:
    return View(tx.connection, tx.municipality, tx.now)


@router.get("/programmes")
async def list_programmes(caller: Anybody, views: Views, paging: Paging) -> Page[ProgrammeView]:
    """All programmes, the oldest first."""
    async with views.of(caller) as view:
        return await queries.programmes(view, paging)


@router.post("/programmes", status_code=201, response_model=ProgrammeView)
async def add_programme(body: ProgrammeBody, caller: Organiser, runner: Commands) -> Response:
    """Offer a programme."""

    async def add(tx: Transaction) -> ProgrammeView:
        added = await commands.add_programme(tx, commands.AddProgramme(body.title, body.summary))
        return await queries.programme(_view(tx), added.programme_id)

    return await runner.run(caller, add, status=201)


@router.get("/programmes/{programme_id}")
async def read_programme(programme_id: UUID, caller: Anybody, views: Views) -> ProgrammeView:
    """One programme."""
    async with views.of(caller) as view:
        return await queries.programme(view, programme_id)


@router.get("/completions")
async def list_completions(
    caller: Anybody,
    views: Views,
    paging: Paging,
    person_id: UUID | None = None,
    programme_id: UUID | None = None,
) -> Page[CompletionView]:
    """Completions, the newest first. hr and it_policy see all of them, everybody else their own."""
    seen = person_id if caller.has("hr", "it_policy") else caller.person_id
    async with views.of(caller) as view:
        return await queries.completions(view, paging, person_id=seen, programme_id=programme_id)


@router.post("/completions", status_code=201, response_model=Recorded)
async def record_completions(body: CompletionsBody, caller: Organiser, runner: Commands) -> Response:
    """Record that these people completed a programme."""

    async def record(tx: Transaction) -> Recorded:
        command = commands.RecordCompletions(body.programme_id, body.person_ids, body.completed_on, body.source)
        made = await commands.record_completions(tx, command)
        return Recorded(
            completions=await queries.completions_by_id(_view(tx), [completion.completion_id for completion in made])
        )

    return await runner.run(caller, record, status=201)


@router.post("/completions/{completion_id}/revocation", response_model=Recorded)
async def revoke_completion(completion_id: UUID, caller: Organiser, runner: Commands) -> Response:
    """Say that a completion was recorded wrongly."""

    async def revoke(tx: Transaction) -> Recorded:
        revoked = await commands.revoke_completion(tx, commands.RevokeCompletion(completion_id))
        return Recorded(completions=await queries.completions_by_id(_view(tx), [revoked.completion_id]))

    return await runner.run(caller, revoke)

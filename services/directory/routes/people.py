"""People."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from chassis.http import Commands, Page, Paging, Views
from services.directory.commands.imports import Imported, ImportFile, import_people
from services.directory.commands.numbers import AssignNumber, assign_number
from services.directory.queries.people import PersonDetails, PersonView, list_people, one_person
from services.directory.routes.fields import CSV_BODY, Body, Code, Colleague, Day, DayQuery, Registrar, Search

router = APIRouter(tags=["people"])


class NewNumber(Body):
    """Another staff number from a day on, today or earlier."""

    number: Code
    effective_from: Day | None = None


@router.get("/people")
async def get_people(
    caller: Colleague,
    views: Views,
    paging: Paging,
    *,
    q: Search = None,
    section_id: Annotated[UUID | None, Query(description="belonging to it, 兼務 too")] = None,
    left: Annotated[bool, Query(description="also who has left")] = False,
    away: Annotated[bool, Query(description="only who is away today, or will be")] = False,
) -> Page[PersonView]:
    """People by reading. `q`: part of a name or reading; for hr and admin a staff number, too."""
    async with views.of(caller) as view:
        return await list_people(view, caller, paging, q=q, section_id=section_id, left=left, away=away)


@router.get("/people/{person_id}")
async def get_person(person_id: UUID, caller: Colleague, views: Views) -> PersonDetails:
    """One person; for hr with postings and absences."""
    async with views.of(caller) as view:
        return await one_person(view, caller, person_id)


@router.post("/people/imports", response_model=Imported, openapi_extra=CSV_BODY)
async def import_people_file(
    request: Request,
    caller: Registrar,
    commands: Commands,
    dry_run: Annotated[bool, Query(description="only say what would change")] = False,
    effective_from: DayQuery = None,
) -> Response:
    """Import people, all or nothing; columns in any order.

    職員番号,氏名,フリガナ,所属コード,職,職員の種類,常勤,メール,兼務所属コード,採用日
    """
    command = ImportFile(await request.body(), effective_from, dry_run)
    return await commands.run(caller, lambda tx: import_people(tx, command))


@router.post("/people/{person_id}/numbers", status_code=204)
async def renumber(person_id: UUID, body: NewNumber, caller: Registrar, commands: Commands) -> Response:
    """Give a person another staff number: somebody re-hired stays the same person."""
    command = AssignNumber(person_id, body.number, body.effective_from)
    return await commands.run(caller, lambda tx: assign_number(tx, command))

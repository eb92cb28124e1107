"""Sections."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, Views, anybody
from services.directory.commands import sections
from services.directory.commands.imports import Imported, ImportFile, import_sections
from services.directory.commands.sections import SectionCreated
from services.directory.domain.sections import DEFAULT_HEAD_POST
from services.directory.queries.sections import SectionDetails, SectionView, list_sections, one_section
from services.directory.routes.fields import CSV_BODY, Body, Code, Day, DayQuery, Line, Registrar

router = APIRouter(tags=["sections"])


class NewSection(Body):
    """A section to be; ``effective_from`` may lie ahead."""

    code: Code
    name: Line
    kind: Literal["課", "室", "出先", "学校", "行政委員会", "議会事務局"]
    appointing_authority: Line = "町長"
    display_order: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    head_post: Line = DEFAULT_HEAD_POST
    effective_from: Day | None = None


class NewName(Body):
    """A section's new name from a day on, today or earlier."""

    name: Line
    effective_from: Day | None = None


class NewHead(Body):
    """Who heads the section; null: the post is vacant. A later day stays secret until it comes."""

    person_id: UUID | None
    post: Line | None = None
    effective_from: Day | None = None


class Closure(Body):
    """From which day on the section exists no more, today or earlier."""

    effective_from: Day | None = None


@router.get("/sections")
async def get_sections(caller: Annotated[Caller, Depends(anybody)], views: Views, paging: Paging) -> Page[SectionView]:
    """Sections that are not closed, in the town's order."""
    async with views.of(caller) as view:
        return await list_sections(view, paging)


@router.get("/sections/{section_id}")
async def get_section(section_id: UUID, caller: Annotated[Caller, Depends(anybody)], views: Views) -> SectionDetails:
    """One section, with the names it has borne."""
    async with views.of(caller) as view:
        return await one_section(view, section_id)


@router.post("/sections", status_code=201, response_model=SectionCreated)
async def create_section(body: NewSection, caller: Registrar, commands: Commands) -> Response:
    """Create a section."""
    command = sections.CreateSection(**body.model_dump())
    return await commands.run(caller, lambda tx: sections.create_section(tx, command), status=201)


@router.post("/sections/imports", response_model=Imported, openapi_extra=CSV_BODY)
async def import_section_file(
    request: Request,
    caller: Registrar,
    commands: Commands,
    dry_run: Annotated[bool, Query(description="only say what would change")] = False,
    effective_from: DayQuery = None,
) -> Response:
    """Import sections: 所属コード,所属名,種別,任命権者,長の職員番号,長の職名,並び順, in any order. All or nothing."""
    command = ImportFile(await request.body(), effective_from, dry_run)
    return await commands.run(caller, lambda tx: import_sections(tx, command))


@router.put("/sections/{section_id}/head", status_code=204)
async def assign_head(section_id: UUID, body: NewHead, caller: Registrar, commands: Commands) -> Response:
    """Record who heads a section."""
    command = sections.AssignHead(section_id, body.person_id, body.post, body.effective_from)
    return await commands.run(caller, lambda tx: sections.assign_head(tx, command))


@router.put("/sections/{section_id}/name", status_code=204)
async def rename_section(section_id: UUID, body: NewName, caller: Registrar, commands: Commands) -> Response:
    """Rename a section; its history keeps the old name."""
    command = sections.RenameSection(section_id, body.name, body.effective_from)
    return await commands.run(caller, lambda tx: sections.rename_section(tx, command))


@router.post("/sections/{section_id}/closure", status_code=204)
async def close_section(section_id: UUID, body: Closure, caller: Registrar, commands: Commands) -> Response:
    """Close a section to which nobody belongs."""
    command = sections.CloseSection(section_id, body.effective_from)
    return await commands.run(caller, lambda tx: sections.close_section(tx, command))

"""管理: the sections and who heads them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.refusals import Forbidden
from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries.parts import Listed
from services.portal.queries.sections import Section
from services.portal.queries.staff import Employee

router = APIRouter(prefix="/admin/sections", include_in_schema=False)


def _registrar_only(desk: Desk) -> None:
    if not desk.identity.has("admin", "hr"):
        raise Forbidden


@router.get("")
async def sections(desk: Visitor, cursor: Annotated[str | None, Query(max_length=500)] = None) -> Response:
    """All sections with their heads."""
    _registrar_only(desk)
    found = await part(desk.services.read("directory", "/sections", Listed[Section], {"cursor": cursor, "limit": 100}))
    return await desk.page("sections.html", sections=found)


async def _section(desk: Desk, section_id: UUID, form: Form, status: int = 200) -> Response:
    found, people = await asyncio.gather(
        part(desk.services.read("directory", f"/sections/{section_id}", Section)),
        part(desk.services.read("directory", "/people", Listed[Employee], {"section_id": section_id, "limit": 200})),
    )
    if found.content is None:
        return await desk.page("missing.html", status=404, title="課", sentence=found.missing, back="/admin/sections")
    return await desk.page(
        "section.html",
        status=status,
        forms={"head": form},
        it=found.content,
        people=people.content.items if people.content else [],
    )


@router.get("/{section_id}")
async def section(desk: Visitor, section_id: UUID) -> Response:
    """One section."""
    _registrar_only(desk)
    return await _section(desk, section_id, Form())


@router.post("/{section_id}/head")
async def set_head(desk: Visitor, section_id: UUID) -> Response:
    """Record who heads the section, or that the post is vacant."""
    _registrar_only(desk)
    submission = await desk.submission()
    form = submission.form()
    body: dict[str, Any] = {"person_id": submission.text("person_id") or None}
    body |= {name: submission.text(name) for name in ("post", "effective_from") if submission.text(name)}
    try:
        done = await desk.services.command(
            "directory", f"/sections/{section_id}/head", submission.key, body, method="PUT"
        )
    except (Refused, ServiceDown) as error:
        return await _section(desk, section_id, form, refused_at(form, error))
    return await desk.done(f"/admin/sections/{section_id}", "課の長を登録しました。", done, audience="leaders")

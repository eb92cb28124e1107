"""リーダー名簿: who is the leader of which section, for everybody; one leader's term and who stands in."""

from __future__ import annotations

import asyncio
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries import staff
from services.portal.queries.leaders import Appointment, KnownLeader
from services.portal.queries.parts import Listed
from services.portal.queries.staff import Employee

router = APIRouter(prefix="/leaders", include_in_schema=False)


@router.get("")
async def leaders(desk: Visitor) -> Response:
    """All leaders of today, the visitor's own section first."""
    found, absences = await asyncio.gather(
        part(desk.services.read("consultations", "/leaders", list[KnownLeader])),
        staff.absences(desk.services),
    )
    own_section = desk.identity.person.section_id
    own = [leader for leader in found.content or () if leader.section_id == own_section]
    sections: dict[str, list[KnownLeader]] = {}
    for leader in found.content or ():
        sections.setdefault(leader.section_id, []).append(leader)
    return await desk.page(
        "leaders.html",
        status=200 if found.content is not None else 503,
        found=found,
        own=own,
        sections=sections,
        absences=absences,
    )


async def _term(desk: Desk, appointment_id: UUID, forms: dict[str, Form] | None = None, status: int = 200) -> Response:
    found = await part(desk.services.read("leaders", f"/appointments/{appointment_id}", Appointment))
    if found.content is None:
        return await desk.page("missing.html", status=404, title="リーダー", sentence=found.missing, back="/leaders")
    may_name = desk.identity.has("hr", "section_head")
    people, absences = await asyncio.gather(
        part(_colleagues(desk, found.content.section_id if may_name else "")), staff.absences(desk.services)
    )
    return await desk.page(
        "leader.html",
        status=status,
        forms={name: (forms or {}).get(name, Form()) for name in ("deputy", "end")},
        it=found.content,
        people=[each for each in people.content or [] if each.person_id != found.content.person_id],
        may_name=may_name,
        absences=absences,
    )


async def _colleagues(desk: Desk, section_id: str) -> list[Employee]:
    if not section_id:
        return []
    found = await desk.services.glance(
        "directory", "/people", Listed[Employee], {"section_id": section_id, "limit": 200}
    )
    return found.items


@router.get("/{appointment_id}")
async def leader(desk: Visitor, appointment_id: UUID) -> Response:
    """One leader's term."""
    return await _term(desk, appointment_id)


@router.post("/{appointment_id}/deputy")
async def name_deputy(desk: Visitor, appointment_id: UUID) -> Response:
    """Name the one who stands in."""
    submission = await desk.submission()
    form = submission.form()
    for name, sentence in (("person_id", "代理にする人を選んでください。"), ("from_on", "始めの日を入れてください。")):
        if not submission.text(name):
            form.errors[name] = sentence
    if form.errors:
        return await _term(desk, appointment_id, {"deputy": form}, 422)
    body = {name: submission.text(name) for name in ("person_id", "from_on", "until_on") if submission.text(name)}
    try:
        done = await desk.services.command("leaders", f"/appointments/{appointment_id}/deputy", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _term(desk, appointment_id, {"deputy": form}, refused_at(form, error))
    return await desk.done(f"/leaders/{appointment_id}", "代理を決めました。", done, audience="notifications")


@router.post("/{appointment_id}/deputy/end")
async def end_deputy(desk: Visitor, appointment_id: UUID) -> Response:
    """The deputy stands in no longer."""
    submission = await desk.submission()
    form = submission.form()
    try:
        done = await desk.services.command("leaders", f"/appointments/{appointment_id}/deputy/end", submission.key)
    except (Refused, ServiceDown) as error:
        return await _term(desk, appointment_id, {"end": form}, refused_at(form, error))
    return await desk.done(f"/leaders/{appointment_id}", "代理を終わりにしました。", done)

"""研修: programmes, who completed them, and who of the leaders has not yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries.parts import Listed
from services.portal.queries.trainings import Completion, Programme, ProgrammeDetail

router = APIRouter(prefix="/trainings", include_in_schema=False)

DESKS = ("hr", "it_policy")


async def _page(desk: Desk, form: Form, status: int = 200) -> Response:
    programmes, own = await asyncio.gather(
        part(desk.services.read("trainings", "/programmes", list[Programme])),
        part(
            desk.services.glance(
                "trainings",
                "/completions",
                Listed[Completion],
                {"person_id": desk.identity.person.person_id},
            )
        ),
    )
    return await desk.page(
        "trainings.html",
        status=status if programmes.content is not None else 503,
        forms={"programme": form},
        programmes=programmes,
        own=own,
        runs_trainings=desk.identity.has(*DESKS),
    )


@router.get("")
async def trainings(desk: Visitor) -> Response:
    """All programmes and the visitor's own completions."""
    return await _page(desk, Form())


@router.post("/programmes")
async def add_programme(desk: Visitor) -> Response:
    """Add a programme."""
    submission = await desk.submission()
    form = submission.form()
    if not submission.text("title"):
        form.errors["title"] = "研修の名前を入れてください。"
        return await _page(desk, form, 422)
    body = {"title": submission.text("title"), "summary": submission.text("summary").replace("\r\n", "\n")}
    try:
        done = await desk.services.command("trainings", "/programmes", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _page(desk, form, refused_at(form, error))
    return await desk.done("/trainings", "研修を加えました。リーダーの「今日の仕事」に出ます。", done)


async def _programme(desk: Desk, programme_id: UUID, forms: Mapping[str, Form], status: int = 200) -> Response:
    programme, completions = await asyncio.gather(
        part(desk.services.read("trainings", f"/programmes/{programme_id}", ProgrammeDetail)),
        part(
            desk.services.read(
                "trainings",
                "/completions",
                Listed[Completion],
                {"programme_id": programme_id, "limit": 100},
            )
        ),
    )
    if programme.content is None:
        return await desk.page("missing.html", status=404, title="研修", sentence=programme.missing, back="/trainings")
    return await desk.page(
        "programme.html",
        status=status,
        forms={name: forms.get(name, Form()) for name in ("complete", "revoke")},
        it=programme.content,
        completions=completions,
        runs_trainings=desk.identity.has(*DESKS),
    )


@router.get("/{programme_id}")
async def programme(desk: Visitor, programme_id: UUID) -> Response:
    """One programme; hr and it_policy record who completed it."""
    return await _programme(desk, programme_id, {})


@router.post("/{programme_id}/completions")
async def complete(desk: Visitor, programme_id: UUID) -> Response:
    """Record who completed the programme."""
    submission = await desk.submission()
    form, people = submission.form(), submission.ids("person_ids")
    if not people:
        form.errors["person_ids"] = "修了した人を1人以上選んでください。"
    if not submission.text("completed_on"):
        form.errors["completed_on"] = "修了した日を入れてください。"
    if form.errors:
        return await _programme(desk, programme_id, {"complete": form}, 422)
    body = {
        "programme_id": str(programme_id),
        "person_ids": people,
        "completed_on": submission.text("completed_on"),
        "source": submission.text("source") or "own",
    }
    try:
        done = await desk.services.command("trainings", "/completions", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _programme(desk, programme_id, {"complete": form}, refused_at(form, error))
    return await desk.done(
        f"/trainings/{programme_id}",
        f"{len(people)}人の修了を記録しました。本人に知らせます。",
        done,
        audience="notifications",
    )


@router.post("/{programme_id}/completions/{completion_id}/revocation")
async def revoke(desk: Visitor, programme_id: UUID, completion_id: UUID) -> Response:
    """Take back what was recorded wrongly."""
    submission = await desk.submission()
    form = submission.form()
    try:
        done = await desk.services.command("trainings", f"/completions/{completion_id}/revocation", submission.key)
    except (Refused, ServiceDown) as error:
        return await _programme(desk, programme_id, {"revoke": form}, refused_at(form, error))
    return await desk.done(f"/trainings/{programme_id}", "修了の記録を取り消しました。", done, audience="notifications")

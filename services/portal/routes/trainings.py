"""研修: programmes, and who completed them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from services.portal import queries
from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at

router = APIRouter(prefix="/trainings", include_in_schema=False)


async def _page(desk: Desk, forms: dict[str, Form] | None = None, status: int = 200) -> Response:
    runs_trainings = desk.identity.has("hr", "it_policy")
    programmes, own, newest, leaders = await asyncio.gather(
        part(desk.services.read("trainings", "/programmes", queries.Listed[queries.Programme])),
        part(
            desk.services.read(
                "trainings",
                "/completions",
                queries.Listed[queries.Completion],
                {"person_id": desk.identity.person.person_id},
            )
        ),
        part(_newest(desk) if runs_trainings else _nothing()),
        part(_leaders(desk) if runs_trainings else _nobody()),
    )
    return await desk.page(
        "trainings.html",
        status=status if programmes.content else 503,
        forms={name: (forms or {}).get(name, Form()) for name in ("complete", "programme")},
        programmes=programmes,
        own=own,
        newest=newest,
        leaders=leaders,
        runs_trainings=runs_trainings,
    )


async def _newest(desk: Desk) -> queries.Listed[queries.Completion]:
    return await desk.services.read("trainings", "/completions", queries.Listed[queries.Completion], {"limit": 30})


async def _nothing() -> queries.Listed[queries.Completion]:
    return queries.Listed[queries.Completion](items=[])


async def _leaders(desk: Desk) -> list[queries.KnownLeader]:
    return await desk.services.glance("consultations", "/leaders", list[queries.KnownLeader])


async def _nobody() -> list[queries.KnownLeader]:
    return []


@router.get("")
async def trainings(desk: Visitor) -> Response:
    """All programmes and the visitor's own completions; hr and it_policy record those of others."""
    return await _page(desk)


@router.post("/programmes")
async def add_programme(desk: Visitor) -> Response:
    """Add a programme."""
    submission = await desk.submission()
    form = submission.form()
    if not submission.text("title"):
        form.errors["title"] = "研修の名前を入れてください。"
        return await _page(desk, {"programme": form}, 422)
    try:
        done = await desk.services.command(
            "trainings",
            "/programmes",
            submission.key,
            {"title": submission.text("title"), "summary": submission.text("summary")},
        )
    except (Refused, ServiceDown) as error:
        return await _page(desk, {"programme": form}, refused_at(form, error))
    return await desk.done("/trainings", "研修を加えました。", done)


@router.post("/completions")
async def complete(desk: Visitor) -> Response:
    """Record who completed a programme."""
    submission = await desk.submission()
    form, people = submission.form(), submission.texts("person_ids")
    if not people:
        form.errors["person_ids"] = "修了した人を1人以上選んでください。"
    for name, sentence in (
        ("programme_id", "研修を選んでください。"),
        ("completed_on", "修了した日を入れてください。"),
    ):
        if not submission.text(name):
            form.errors[name] = sentence
    if form.errors:
        return await _page(desk, {"complete": form}, 422)
    try:
        done = await desk.services.command(
            "trainings",
            "/completions",
            submission.key,
            {
                "programme_id": submission.text("programme_id"),
                "person_ids": people,
                "completed_on": submission.text("completed_on"),
                "source": submission.text("source") or "own",
            },
        )
    except (Refused, ServiceDown) as error:
        return await _page(desk, {"complete": form}, refused_at(form, error))
    return await desk.done(
        "/trainings", f"{len(people)}人の修了を記録しました。本人に知らせます。", done, audience="notifications"
    )

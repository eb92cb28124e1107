"""選出: the head of a section names its leaders."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.calendar import fiscal_year_of
from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.pages.wording import years_around
from services.portal.queries.nominations import SectionCall, SectionCallSummary

router = APIRouter(prefix="/nominations", include_in_schema=False)


@router.get("")
async def own_calls(desk: Visitor, year: Annotated[int | None, Query(ge=2000, le=2100)] = None) -> Response:
    """What the visitor's section was asked in a fiscal year."""
    chosen = year or fiscal_year_of(desk.now.date())
    calls = await part(
        desk.services.read(
            "leaders",
            "/section-calls",
            list[SectionCallSummary],
            {"fiscal_year": chosen},
        )
    )
    return await desk.page("nominations.html", calls=calls, year=chosen, years=years_around(desk.now, [chosen]))


async def _page(desk: Desk, section_call_id: UUID, form: Form, status: int = 200) -> Response:
    call = await part(desk.services.read("leaders", f"/section-calls/{section_call_id}", SectionCall))
    if call.content is None:
        return await desk.page("missing.html", status=404, title="選出", sentence=call.missing, back="/nominations")
    return await desk.page(
        "nomination.html",
        status=status,
        forms={"name": form},
        call=call.content,
        may_name=desk.identity.has("section_head", "hr"),
    )


@router.get("/{section_call_id}")
async def nomination_page(desk: Visitor, section_call_id: UUID) -> Response:
    """Those of the own section, to choose from."""
    return await _page(desk, section_call_id, Form())


@router.post("/{section_call_id}")
async def nominate(desk: Visitor, section_call_id: UUID) -> Response:
    """Name the ticked people."""
    submission = await desk.submission()
    form, chosen = submission.form(), submission.ids("person_ids")
    if not chosen:
        form.errors["person_ids"] = "リーダーにする人を1人以上選んでください。"
        return await _page(desk, section_call_id, form, 422)
    try:
        done = await desk.services.command(
            "leaders", f"/section-calls/{section_call_id}/nominations", submission.key, {"person_ids": chosen}
        )
    except (Refused, ServiceDown) as error:
        return await _page(desk, section_call_id, form, refused_at(form, error))
    return await desk.done(
        f"/nominations/{section_call_id}",
        f"{len(chosen)}人の選出を送りました。決裁が記録されると、本人に知らせます。",
        done,
        audience="notifications",
    )

"""管理: notices that could not be brought to somebody, and why."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.refusals import Forbidden
from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, Submission, refused_at
from services.portal.queries.deliveries import SentNotice
from services.portal.queries.parts import Listed

router = APIRouter(prefix="/admin/deliveries", include_in_schema=False)

STATES = ("failed", "waiting", "handed_over", "delivered", "cancelled")


async def _page(
    desk: Desk, form: Form, status: int = 200, *, state: str = "failed", cursor: str | None = None
) -> Response:
    if not desk.identity.has("admin", "hr", "it_policy"):
        raise Forbidden
    found = await part(
        desk.services.read(
            "notifications",
            "/deliveries",
            Listed[SentNotice],
            {"state": state, "limit": 30, "cursor": cursor},
        )
    )
    return await desk.page(
        "deliveries.html", status=status, forms={"mend": form}, found=found, state=state, states=STATES
    )


@router.get("")
async def deliveries(
    desk: Visitor,
    state: Annotated[str, Query(max_length=20)] = "failed",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Deliveries in one state, the newest first."""
    return await _page(desk, Form(), state=state if state in STATES else "failed", cursor=cursor)


@router.post("/{delivery_id}/retry")
async def retry(desk: Visitor, delivery_id: UUID) -> Response:
    """Send one again."""
    return await _mend(desk, await desk.submission(), f"{delivery_id}/retry", "もう一度送ります。")


@router.post("/{delivery_id}/acknowledgement")
async def acknowledge(desk: Visitor, delivery_id: UUID) -> Response:
    """Somebody told the person otherwise: a failure needs no hand any more."""
    sentence = "伝えたことを記録しました。一覧から外します。"
    return await _mend(desk, await desk.submission(), f"{delivery_id}/acknowledgement", sentence)


async def _mend(desk: Desk, submission: Submission, what: str, sentence: str) -> Response:
    try:
        done = await desk.services.command("notifications", f"/deliveries/{what}", submission.key)
    except (Refused, ServiceDown) as error:
        form = submission.form()
        return await _page(desk, form, refused_at(form, error))
    return await desk.done("/admin/deliveries", sentence, done)

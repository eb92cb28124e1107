"""お知らせ: the visitor's notices."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries.inbox import Notice
from services.portal.queries.parts import Listed
from services.portal.routes.home import place_of

router = APIRouter(prefix="/inbox", include_in_schema=False)


async def _page(
    desk: Desk, form: Form, *, only_unread: bool = False, cursor: str | None = None, status: int = 200
) -> Response:
    notices = await part(
        desk.services.read(
            "notifications",
            "/inbox",
            Listed[Notice],
            {"unread": "true" if only_unread else None, "cursor": cursor},
        )
    )
    return await desk.page(
        "inbox.html", status=status, forms={"read": form}, notices=notices, only_unread=only_unread, place_of=place_of
    )


@router.get("")
async def inbox(
    desk: Visitor,
    unread: Annotated[str, Query(max_length=1)] = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """My notices, the newest first."""
    return await _page(desk, Form(), only_unread=bool(unread), cursor=cursor)


@router.post("/read-all")
async def read_all(desk: Visitor) -> Response:
    """Mark all notices as read."""
    submission = await desk.submission()
    try:
        done = await desk.services.command("notifications", "/inbox/read-all", submission.key)
    except (Refused, ServiceDown) as error:
        form = submission.form()
        return await _page(desk, form, status=refused_at(form, error))
    return await desk.done("/inbox", "すべて読んだことにしました。", done)


@router.post("/{notice_id}/read")
async def read_one(desk: Visitor, notice_id: UUID) -> Response:
    """Mark one notice as read and go to what it is about."""
    submission = await desk.submission()
    try:
        done = await desk.services.command("notifications", f"/inbox/{notice_id}/read", submission.key)
    except (Refused, ServiceDown) as error:
        form = submission.form()
        return await _page(desk, form, status=refused_at(form, error))
    return await desk.done("/inbox", "読んだことにしました。", done)

"""The parts that renew themselves: unread notices, my work, facts on their way. Each is a plain link too."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.portal.gateway import NAMES, MadeFact
from services.portal.pages.desk import Visitor, delivery
from services.portal.routes.home import place_of_work, work_of

router = APIRouter(prefix="/live", include_in_schema=False)

_FACT = re.compile(r"^([a-z_]{1,30}) ([a-z_]{1,50}/[0-9a-zA-Z_-]{1,100}) ([0-9]{1,18})$")
_FACTS_ASKED = 5


@router.get("/unread")
async def unread(desk: Visitor) -> Response:
    """How many notices are unread."""
    return desk.fragment("unread.html", unread=await desk.unread())


@router.get("/work")
async def work(desk: Visitor) -> Response:
    """My work, renewed."""
    items, silent = await work_of(desk)
    return desk.fragment("work.html", work=items, silent=silent, place_of=place_of_work)


@router.get("/delivery")
async def facts_on_their_way(
    desk: Visitor,
    audience: Annotated[str, Query(max_length=30)],
    fact: Annotated[list[str], Query(max_length=20)],
    attempt: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> Response:
    """Whether a service has taken facts into account: a part of a page for htmx, a page of its own without script."""
    named = [MadeFact(found[1], found[2], int(found[3])) for each in fact if (found := _FACT.match(each))]
    audience = audience if audience in NAMES else "notifications"
    state = await delivery(desk.services, named[:_FACTS_ASKED], audience, attempt)
    if "hx-request" in desk.request.headers:
        return desk.fragment("delivery.html", delivery=state)
    return await desk.page("on_its_way.html", state=state)

"""今日の仕事: what waits for the visitor, from all services at once."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from fastapi.responses import Response

from chassis.http.work_items import WorkItem
from services.portal.gateway import part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.wording import Work, grouped
from services.portal.queries.consultations import CaseSummary
from services.portal.queries.parts import Listed
from services.portal.queries.work import all_work

router = APIRouter(include_in_schema=False)

_PLACES = {
    "consultation": "/consultations/{id}",
    "section-call": "/nominations/{id}",
    "appointment": "/leaders/{id}",
    "coverage": "/coverage?year={id}",
    "programme": "/trainings/{id}",
    "completion": "/trainings",
    "notice": "/inbox",
    "deliveries": "/admin/deliveries",
    "dead-letters": "/integrations?service={id}",
    "stops": "/standing",
    "section": "/admin/sections/{id}",
    "transfer": "/admin",
    "account": "/admin/accounts",
}


def place_of(kind: str, target_id: str) -> str:
    """The page on which a thing is acted on."""
    return _PLACES.get(kind, "/").format(id=target_id)


def place_of_work(item: WorkItem) -> str:
    """The page on which a piece of work is done."""
    if item.kind == "mend" and item.target.kind == "section-call":
        return "/coverage"
    return place_of(item.target.kind, item.target.id)


async def work_of(desk: Desk) -> tuple[Work, list[str]]:
    """The visitor's work in groups, and which services did not say."""
    items, silent = await all_work(desk.services)
    return grouped(items, desk.now), silent


@router.get("/")
async def home(desk: Visitor) -> Response:
    """My work and my consultations."""
    (work, silent), cases = await asyncio.gather(
        work_of(desk),
        part(
            desk.services.glance("consultations", "/consultations", Listed[CaseSummary], {"mine": "true", "limit": 20})
        ),
    )
    return await desk.page("home.html", work=work, silent=silent, cases=cases, place_of=place_of_work)

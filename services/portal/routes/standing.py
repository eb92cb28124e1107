"""今日止まっているもの, and 遅れて届いたもの: what stands still now, and what was late and for whom."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.clocks import machine_now
from services.portal.gateway import NAMES, Part, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.events import TIMERS
from services.portal.pages.forms import Form
from services.portal.pages.troubles import halted
from services.portal.queries.deliveries import LateNotices, SentNotice
from services.portal.queries.leaders import Appointment
from services.portal.queries.parts import Listed
from services.portal.queries.standing import LateRun, standing_of_all
from services.portal.routes.integrations import admin_only

router = APIRouter(include_in_schema=False)

FAILED_SHOWN = 50
LATE_SHOWN = 50
TIMERS_NAMED = 20
_PAGES = {"appointment": "/leaders/{id}", "section": "/admin/sections/{id}"}
"""Pages of what timers are about, as far as an administrator may open them."""

SPANS = {1: "この24時間", 7: "この7日間", 30: "この30日間"}


async def _late(desk: Desk, since: datetime, cursor: str | None = None) -> LateNotices:
    query = {"since": since.isoformat(), "limit": LATE_SHOWN, "cursor": cursor}
    return await desk.services.read("notifications", "/deliveries/late", LateNotices, query)


@router.get("/standing")
async def standing_still(desk: Visitor) -> Response:
    """Everything that stands still or is late for this town, what needs a hand first."""
    admin_only(desk)
    since = machine_now() - timedelta(days=1)
    standing, failed, late = await asyncio.gather(
        standing_of_all(desk.services),
        part(
            desk.services.read(
                "notifications",
                "/deliveries",
                Listed[SentNotice],
                {"state": "failed", "limit": FAILED_SHOWN},
            )
        ),
        part(_late(desk, since)),
    )
    return await desk.page(
        "standing.html",
        forms={"stop": Form()},
        found=halted(standing, failed, late),
        late=late,
        names=NAMES,
    )


@dataclass(frozen=True, slots=True)
class LateTimer:
    """A timer that ran late: what it is, on which page its subject stands, and whom it is about."""

    what: str
    service: str
    link: str
    whom: str
    due_at: datetime
    ran_at: datetime

    @property
    def seconds(self) -> float:
        """How late it was, by the town's clock."""
        return (self.ran_at - self.due_at).total_seconds()


async def _whom(desk: Desk, timer: LateRun) -> str:
    """Whom a timer is about, where that is a person's term of office."""
    kind, _, subject = timer.aggregate.partition("/")
    if kind != "appointment":
        return ""
    told = await part(desk.services.glance("leaders", f"/appointments/{subject}", Appointment))
    return f"{told.content.name or ''}（{told.content.section_name}）" if told.content else ""


async def _late_timers(desk: Desk, since: datetime) -> tuple[list[LateTimer], list[str]]:
    """Late timers of all services, the newest first, and which services did not say."""
    names = list(NAMES)
    parts: list[Part[list[LateRun]]] = await asyncio.gather(
        *(
            part(desk.services.read(name, "/operations/late-timers", list[LateRun], {"since": since.isoformat()}))
            for name in names
        )
    )
    told = [(name, each) for name, found in zip(names, parts, strict=True) for each in found.content or ()]
    told.sort(key=lambda pair: pair[1].ran_at, reverse=True)
    whom = await asyncio.gather(*(_whom(desk, each) for _, each in told[:TIMERS_NAMED]))
    timers = [
        LateTimer(
            TIMERS.get(each.name, each.name),
            name,
            _page_of(each.aggregate),
            whom[number] if number < len(whom) else "",
            each.due_at,
            each.ran_at,
        )
        for number, (name, each) in enumerate(told)
    ]
    return timers, [NAMES[name] for name, found in zip(names, parts, strict=True) if found.content is None]


def _page_of(aggregate: str) -> str:
    kind, _, subject = aggregate.partition("/")
    return _PAGES[kind].format(id=subject) if kind in _PAGES else ""


@router.get("/late")
async def late(
    desk: Visitor,
    days: Annotated[int, Query(ge=1, le=30)] = 1,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """What came late and for whom: notices with their minutes, mails that went out twice, timers after their time."""
    admin_only(desk)
    days = max(each for each in SPANS if each <= days)
    since = machine_now() - timedelta(days=days)
    notices, (timers, silent) = await asyncio.gather(
        part(_late(desk, since, cursor)),
        _late_timers(desk, since),
    )
    return await desk.page(
        "late.html",
        notices=notices,
        timers=timers,
        silent=silent,
        names=NAMES,
        days=days,
        spans=SPANS,
        simulated=desk.portal.simulated_clock,
    )

"""HTTP of ``notifications``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel

from chassis.auth import Caller
from chassis.clocks import machine_now
from chassis.http import Commands, Page, Paging, Views, allow, anybody
from chassis.transaction import Transaction
from services.notifications import commands
from services.notifications.domain import State
from services.notifications.queries import late, listing, notices
from services.notifications.queries.late import LateDeliveries
from services.notifications.queries.listing import DeliveryView
from services.notifications.queries.notices import InboxItem, InboxSummary
from taiwa_contracts.notifications import Channel

router = APIRouter(tags=["notifications"])

Anybody = Annotated[Caller, Depends(anybody)]
Office = Annotated[Caller, Depends(allow("hr", "it_policy", "admin"))]

LATE_SINCE = timedelta(days=1)


class NoticeRead(BaseModel):
    """When the notice was first read."""

    id: UUID
    read_at: datetime


class AllRead(BaseModel):
    """How many notices were unread until now."""

    read: int


class Retried(BaseModel):
    """The delivery waits to be sent again."""

    id: UUID


@router.get("/inbox")
async def inbox(
    caller: Anybody,
    views: Views,
    paging: Paging,
    *,
    unread: Annotated[bool, Query(description="only unread ones")] = False,
) -> Page[InboxItem]:
    """The caller's notices, the newest first. Looking at them does not mark them read."""
    async with views.of(caller) as view:
        return await notices.inbox(view, caller.person_id, paging, unread=unread)


@router.get("/inbox/summary")
async def inbox_summary(caller: Anybody, views: Views) -> InboxSummary:
    """How many notices of the caller are unread."""
    async with views.of(caller) as view:
        return await notices.inbox_summary(view, caller.person_id)


@router.post("/inbox/read-all", response_model=AllRead)
async def read_all(caller: Anybody, runner: Commands) -> Response:
    """Mark all of the caller's notices read."""

    async def mark(tx: Transaction) -> AllRead:
        return AllRead(read=await commands.read_all(tx, commands.ReadAll(caller.person_id)))

    return await runner.run(caller, mark)


@router.post("/inbox/{delivery_id}/read", response_model=NoticeRead)
async def read_notice(delivery_id: UUID, caller: Anybody, runner: Commands) -> Response:
    """Mark one of the caller's notices read; the first time counts."""

    async def mark(tx: Transaction) -> NoticeRead:
        read_at = await commands.read_notice(tx, commands.ReadNotice(caller.person_id, delivery_id))
        return NoticeRead(id=delivery_id, read_at=read_at)

    return await runner.run(caller, mark)


@router.get("/deliveries")
async def deliveries(
    caller: Office,
    views: Views,
    paging: Paging,
    *,
    state: State | None = None,
    channel: Channel | None = None,
    acknowledged: Annotated[bool, Query(description="with state=failed: also what somebody has looked at")] = False,
) -> Page[DeliveryView]:
    """Deliveries of the municipality, the newest first, with the reason of those that failed.

    `state=failed` lists what needs a hand; a person without an address stands in it once, with the number of `mails`.
    """
    async with views.of(caller) as view:
        return await listing.deliveries(view, paging, state=state, channel=channel, acknowledged=acknowledged)


@router.get("/deliveries/late")
async def late_deliveries(
    caller: Office,
    views: Views,
    paging: Paging,
    *,
    since: Annotated[
        AwareDatetime | None, Query(description="handed over or delivered since then; none: the last 24 hours")
    ] = None,
    minutes: Annotated[int, Query(ge=1, le=1440, description="later than this after the event is late")] = 2,
) -> LateDeliveries:
    """Notices that came late or still wait, for whom, and which mails went out a second time. Machine time."""
    now = machine_now()
    async with views.of(caller) as view:
        return await late.late_deliveries(
            view, paging, since=since or now - LATE_SINCE, now=now, allowed=timedelta(minutes=minutes)
        )


@router.post("/deliveries/{delivery_id}/retry", response_model=Retried)
async def retry_delivery(delivery_id: UUID, caller: Office, runner: Commands) -> Response:
    """Send a failed delivery again."""

    async def retry(tx: Transaction) -> Retried:
        await commands.retry_delivery(tx, commands.RetryDelivery(delivery_id))
        return Retried(id=delivery_id)

    return await runner.run(caller, retry)


class Acknowledged(BaseModel):
    """The failure needs no hand any more."""

    id: UUID


@router.post("/deliveries/{delivery_id}/acknowledgement", response_model=Acknowledged)
async def acknowledge_delivery(delivery_id: UUID, caller: Office, runner: Commands) -> Response:
    """Take a failed delivery off the list. One without an address: the person, until an address arrives."""

    async def acknowledge(tx: Transaction) -> Acknowledged:
        await commands.acknowledge_delivery(tx, commands.AcknowledgeDelivery(delivery_id, caller.person_id))
        return Acknowledged(id=delivery_id)

    return await runner.run(caller, acknowledge)

"""連携: what arrived and could not be processed; looking at it, trying it again, giving it up, letting things go on."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.refusals import Forbidden, NotFound
from services.portal.gateway import NAMES, Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.pages.troubles import ACTS, by_service, halted
from services.portal.queries.integrations import Acted, Letter, OperatorAct, SetAside
from services.portal.queries.parts import Listed
from services.portal.queries.staff import PersonCard
from services.portal.queries.standing import standing_of_all

router = APIRouter(prefix="/integrations", include_in_schema=False)

FIRST_OF_EACH = 10
PAGE = 30
_PLACES = {"": "/integrations", "standing": "/standing"}

Filter = Annotated[str, Query(max_length=200)]


def admin_only(desk: Desk) -> None:
    """Dead letters hold payloads: nobody else sees them.

    Raises:
        Forbidden: the visitor is no administrator.
    """
    if not desk.identity.has("admin"):
        raise Forbidden


def _known(service: str) -> str:
    if service not in NAMES:
        raise NotFound
    return service


async def _letters(desk: Desk, service: str, query: dict[str, object]) -> Listed[SetAside]:
    return await desk.services.read(service, "/operations/dead-letters", Listed[SetAside], query)


async def _page(
    desk: Desk,
    form: Form,
    status: int = 200,
    *,
    service: str = "",
    type_: str = "",
    code: str = "",
    cursor: str | None = None,
) -> Response:
    admin_only(desk)
    chosen = [service] if service in NAMES else list(NAMES)
    limit = PAGE if service in NAMES else FIRST_OF_EACH
    query = {"type": type_, "code": code, "limit": limit, "cursor": cursor if service in NAMES else None}
    found, standing = await asyncio.gather(
        asyncio.gather(*(part(_letters(desk, each, query)) for each in chosen)),
        standing_of_all(desk.services),
    )
    lists = dict(zip(chosen, found, strict=True))
    shown = [each for told in lists.values() if told.content for each in told.content.items]
    return await desk.page(
        "integrations.html",
        status=status,
        forms={"stop": form},
        lists=lists,
        standing=standing,
        found=by_service(halted(standing)),
        service=service if service in NAMES else "",
        type=type_,
        code=code,
        types=sorted({each.type for each in shown if each.type} | ({type_} if type_ else set())),
        codes=sorted({each.code for each in shown} | ({code} if code else set())),
        names=NAMES,
        letters={
            kind: sum(
                each.letters
                for told in standing.values()
                if told.content
                for each in told.content.letters
                if each.kind == kind
            )
            for kind in ("dead", "deferred", "held")
        },
    )


@router.get("")
async def integrations(
    desk: Visitor,
    service: Filter = "",
    type: Filter = "",  # noqa: A002  the name in the address
    code: Filter = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """What could not be processed, the oldest first, and what stands still because of it."""
    return await _page(desk, Form(), service=service, type_=type, code=code, cursor=cursor)


@router.post("/resume")
async def resume(desk: Visitor) -> Response:
    """Let a consumer, a partition or a key go on."""
    admin_only(desk)
    submission = await desk.submission()
    form, service = submission.form(), _known(submission.text("service"))
    body: dict[str, Any] = {"consumer": submission.text("consumer"), "reason": submission.text("reason")}
    if submission.text("topic"):
        body |= {"topic": submission.text("topic"), "partition": submission.text("partition")}
    try:
        done = await desk.services.command(service, "/operations/stops/resume", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _page(desk, form, refused_at(form, error))
    resumed = Acted.model_validate(done.body).count
    sentence = "再開しました。続けて失敗すると、また止まります。" if resumed else "もう動いています。"
    return await desk.done(_PLACES.get(submission.text("back"), "/integrations"), f"「{NAMES[service]}」を{sentence}")


@router.get("/replay")
async def confirm_replay(
    desk: Visitor,
    service: Filter,
    type: Filter = "",  # noqa: A002  the name in the address
    code: Filter = "",
) -> Response:
    """How many would be tried again, before anything is."""
    admin_only(desk)
    return await _replay_page(desk, Form(), _known(service), _chosen(type, code))


async def _replay_page(desk: Desk, form: Form, service: str, chosen: dict[str, Any], status: int = 200) -> Response:
    counted = await desk.services.command(
        service, "/operations/dead-letters/replay", form.key, {**chosen, "dry_run": True}
    )
    form.key = Form().key  # the count had this one
    return await desk.page(
        "letters_replay.html",
        status=status,
        forms={"replay": form},
        service=service,
        type=chosen.get("type", ""),
        code=chosen.get("code", ""),
        found=Acted.model_validate(counted.body),
        names=NAMES,
    )


def _chosen(type_: str, code: str) -> dict[str, Any]:
    return {name: value for name, value in (("type", type_), ("code", code)) if value}


@router.post("/replay")
async def replay_chosen(desk: Visitor) -> Response:
    """Try all that were chosen again, the oldest first."""
    admin_only(desk)
    submission = await desk.submission()
    form, service = submission.form(), _known(submission.text("service"))
    chosen = _chosen(submission.text("type"), submission.text("code"))
    body = {**chosen, "reason": submission.text("reason")}
    try:
        done = await desk.services.command(service, "/operations/dead-letters/replay", submission.key, body)
    except Refused as refused:
        return await _replay_page(desk, form, service, chosen, refused_at(form, refused))
    count = Acted.model_validate(done.body).count
    return await desk.done(
        f"/integrations?service={service}", f"{count}件をやり直しています。処理できたものは、この一覧から消えます。"
    )


async def _letter_page(desk: Desk, service: str, letter_id: UUID, form: Form, status: int = 200) -> Response:
    path = f"/operations/dead-letters/{letter_id}"
    letter = await desk.services.read(service, path, Letter)
    # After it: looking at the letter is an act, and stands among them.
    asked = {"letter": letter_id, "limit": 20}
    acts = await part(desk.services.read(service, "/operations/acts", Listed[OperatorAct], asked))
    people = {each.operator for each in acts.content.items if each.operator_kind == "staff"} if acts.content else set()
    return await desk.page(
        "letter.html",
        status=status,
        forms={"letter": form},
        letter=letter,
        acts=acts,
        acted=ACTS,
        people=await _names(desk, people),
        service=service,
        names=NAMES,
    )


async def _names(desk: Desk, people: set[str]) -> dict[str, str]:
    """The names of those whom directory knows."""
    asked = sorted(people)
    found = await asyncio.gather(
        *(part(desk.services.glance("directory", f"/people/{each}", PersonCard)) for each in asked)
    )
    return {each: told.content.name for each, told in zip(asked, found, strict=True) if told.content}


@router.get("/{service}/{letter_id}")
async def letter(desk: Visitor, service: str, letter_id: UUID) -> Response:
    """One of them with its content, the difference from its schema, and what waits behind it."""
    admin_only(desk)
    return await _letter_page(desk, _known(service), letter_id, Form())


@router.post("/{service}/{letter_id}/replay")
async def replay(desk: Visitor, service: str, letter_id: UUID) -> Response:
    """Try one again, at once."""
    admin_only(desk)
    submission = await desk.submission()
    form, service = submission.form(), _known(service)
    path = f"/operations/dead-letters/{letter_id}/replay"
    try:
        await desk.services.command(service, path, submission.key, {"reason": submission.text("reason")})
    except (Refused, ServiceDown) as error:
        return await _letter_page(desk, service, letter_id, form, refused_at(form, error))
    return await desk.done(f"/integrations?service={service}", "やり直しています。処理できると、この一覧から消えます。")


@router.get("/{service}/{letter_id}/discard")
async def confirm_discard(desk: Visitor, service: str, letter_id: UUID) -> Response:
    """Before one is given up: what that means, and why."""
    admin_only(desk)
    return await _discard_page(desk, _known(service), letter_id, Form())


async def _discard_page(desk: Desk, service: str, letter_id: UUID, form: Form, status: int = 200) -> Response:
    path = f"/operations/dead-letters/{letter_id}"
    letter = await desk.services.read(service, path, Letter, {"payload": "false"})
    return await desk.page(
        "letter_discard.html", status=status, forms={"discard": form}, letter=letter, service=service, names=NAMES
    )


@router.post("/{service}/{letter_id}/discard")
async def discard(desk: Visitor, service: str, letter_id: UUID) -> Response:
    """Give one up; what is held behind it goes on."""
    admin_only(desk)
    submission = await desk.submission()
    form, service = submission.form(), _known(service)
    if not submission.text("reason"):
        form.errors["reason"] = "破棄する理由を入れてください。記録に残ります。"
        return await _discard_page(desk, service, letter_id, form, 422)
    path = f"/operations/dead-letters/{letter_id}/discard"
    try:
        await desk.services.command(service, path, submission.key, {"reason": submission.text("reason")})
    except (Refused, ServiceDown) as error:
        return await _discard_page(desk, service, letter_id, form, refused_at(form, error))
    return await desk.done(
        f"/integrations?service={service}", "破棄しました。後ろで待っていた知らせは、順に処理します。"
    )

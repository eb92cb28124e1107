"""管理: accounts, one-time links, roles."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from chassis.refusals import Forbidden
from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries.accounts import Account, GrantedRole, Link
from services.portal.queries.parts import Listed
from services.portal.queries.staff import Employee

router = APIRouter(prefix="/admin/accounts", include_in_schema=False)

GRANTED = ("hr", "it_policy", "finance", "executive", "adviser", "admin")
"""Roles an administrator gives; the others follow from facts."""


def _admin_only(desk: Desk) -> None:
    if not desk.identity.has("admin"):
        raise Forbidden


async def _page(
    desk: Desk,
    forms: dict[str, Form] | None = None,
    status: int = 200,
    *,
    q: str = "",
    cursor: str | None = None,
    link: Link | None = None,
) -> Response:
    accounts, people, granted = await asyncio.gather(
        part(desk.services.read("directory", "/accounts", Listed[Account], {"cursor": cursor, "limit": 20})),
        part(_found(desk, q)),
        part(desk.services.read("directory", "/roles", Listed[GrantedRole], {"limit": 200})),
    )
    roles: dict[str, list[str]] = {}
    for each in granted.content.items if granted.content else ():
        roles.setdefault(each.person_id, []).append(each.role)
    return await desk.page(
        "accounts.html",
        status=status,
        forms={name: (forms or {}).get(name, Form()) for name in ("account", "role", "step")},
        accounts=accounts,
        people=people,
        q=q,
        link=link,
        site=desk.site,
        roles=roles,
        granted=GRANTED,
    )


async def _found(desk: Desk, q: str) -> Listed[Employee]:
    if not q:
        return Listed[Employee](items=[])
    return await desk.services.read("directory", "/people", Listed[Employee], {"q": q, "limit": 20})


@router.get("")
async def accounts(
    desk: Visitor,
    q: Annotated[str, Query(max_length=100)] = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """All accounts; people to make one for are searched by name."""
    _admin_only(desk)
    return await _page(desk, q=q.strip(), cursor=cursor)


async def _command(
    desk: Desk, name: str, path: str, body: dict[str, Any] | None, sentence: str, *, link: bool = False
) -> Response:
    submission = await desk.submission()
    form = submission.form()
    try:
        done = await desk.services.command("directory", path, submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _page(desk, {name: form}, refused_at(form, error), q=submission.text("q"))
    if link:
        # Shown once and kept nowhere: neither in an address nor in the session.
        return await _page(desk, link=Link.model_validate(done.body))
    return await desk.done("/admin/accounts", sentence, done)


@router.post("")
async def make_account(desk: Visitor) -> Response:
    """Make an account; its one-time link is shown once."""
    _admin_only(desk)
    submission = await desk.submission()
    form = submission.form()
    for name, sentence in (("person_id", "職員を選んでください。"), ("login", "ログインIDを入れてください。")):
        if not submission.text(name):
            form.errors[name] = sentence
    if form.errors:
        return await _page(desk, {"account": form}, 422, q=submission.text("q"))
    body = {"person_id": submission.text("person_id"), "login": submission.text("login")}
    return await _command(desk, "account", "/accounts", body, "", link=True)


@router.post("/{account_id}/links")
async def new_link(desk: Visitor, account_id: UUID) -> Response:
    """A new one-time link; the older one stops working."""
    _admin_only(desk)
    return await _command(desk, "step", f"/accounts/{account_id}/links", None, "", link=True)


@router.post("/{account_id}/lock")
async def lock(desk: Visitor, account_id: UUID) -> Response:
    """Keep somebody out."""
    _admin_only(desk)
    return await _command(desk, "step", f"/accounts/{account_id}/lock", None, "ログインを止めました。")


@router.post("/{account_id}/unlock")
async def unlock(desk: Visitor, account_id: UUID) -> Response:
    """Let somebody in again."""
    _admin_only(desk)
    return await _command(desk, "step", f"/accounts/{account_id}/unlock", None, "ログインできるようにしました。")


@router.post("/roles")
async def change_role(desk: Visitor) -> Response:
    """Give a role, or take it back."""
    _admin_only(desk)
    submission = await desk.submission()
    form, person_id, role = submission.form(), submission.text("person_id"), submission.text("role")
    if role not in GRANTED:
        form.errors["role"] = "役割を選んでください。"
        return await _page(desk, {"role": form}, 422)
    taking = bool(submission.text("revoke"))
    return await _command(
        desk,
        "role",
        "/roles/revocations" if taking else "/roles",
        {"person_id": person_id, "role": role},
        "役割を外しました。" if taking else "役割を付けました。",
    )

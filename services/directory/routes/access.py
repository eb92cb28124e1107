"""Accounts and roles."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, Views
from chassis.municipality import INSTALLATION
from services.directory.commands import accounts, roles
from services.directory.commands.accounts import LinkMade, Links, OneTimeLink
from services.directory.commands.signing import KeyRotated
from services.directory.queries.access import AccountView, RoleView, list_accounts, list_roles
from services.directory.routes.fields import Administrator, Body, Line, Login, OneTimeLinks, Search, Signing

router = APIRouter(tags=["access"])

GrantedRole = Literal["it_policy", "hr", "finance", "adviser", "executive", "admin"]


class NewAccount(Body):
    """Who gets an account, and with which login."""

    person_id: UUID
    login: Login


class RoleOfPerson(Body):
    """Somebody and a role; ``staff``, ``leader`` and ``section_head`` follow from facts."""

    person_id: UUID
    role: Line


@router.get("/accounts")
async def get_accounts(caller: Administrator, views: Views, paging: Paging, q: Search = None) -> Page[AccountView]:
    """Accounts by login."""
    async with views.of(caller) as view:
        return await list_accounts(view, paging, q=q)


async def _with_token(caller: Caller, links: Links, answer: Response) -> Response:
    """What was stored of the answer has no token; a repeat shows the same one."""
    made = LinkMade.model_validate(json.loads(bytes(answer.body)))
    link: OneTimeLink = await links.reveal(caller.municipality, made)
    headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
    headers["Cache-Control"] = "no-store"
    return Response(link.model_dump_json(), answer.status_code, headers)


@router.post("/accounts", status_code=201, response_model=OneTimeLink)
async def open_account(body: NewAccount, caller: Administrator, commands: Commands, links: OneTimeLinks) -> Response:
    """Open an account without a password, with a one-time link for the first one."""
    command = accounts.OpenAccount(body.person_id, body.login)
    answer = await commands.run(caller, lambda tx: accounts.open_account(tx, command, links), status=201)
    return await _with_token(caller, links, answer)


@router.post("/accounts/{account_id}/links", status_code=201, response_model=OneTimeLink)
async def renew_link(account_id: UUID, caller: Administrator, commands: Commands, links: OneTimeLinks) -> Response:
    """A new one-time link; earlier ones stop working, the password stays until the link is used."""
    command = accounts.RenewLink(account_id)
    answer = await commands.run(caller, lambda tx: accounts.renew_link(tx, command, links), status=201)
    return await _with_token(caller, links, answer)


@router.post("/accounts/{account_id}/lock", status_code=204)
async def lock_account(account_id: UUID, caller: Administrator, commands: Commands) -> Response:
    """Lock an account and end its sessions."""
    command = accounts.LockAccount(account_id, locked=True)
    return await commands.run(caller, lambda tx: accounts.lock_account(tx, command))


@router.post("/accounts/{account_id}/unlock", status_code=204)
async def unlock_account(account_id: UUID, caller: Administrator, commands: Commands) -> Response:
    """Unlock an account, also one that wrong passwords locked."""
    command = accounts.LockAccount(account_id, locked=False)
    return await commands.run(caller, lambda tx: accounts.lock_account(tx, command))


@router.get("/roles")
async def get_roles(
    caller: Administrator, views: Views, paging: Paging, role: Annotated[GrantedRole | None, Query()] = None
) -> Page[RoleView]:
    """Who holds which granted role."""
    async with views.of(caller) as view:
        return await list_roles(view, paging, role=role)


@router.post("/roles", status_code=204)
async def grant_role(body: RoleOfPerson, caller: Administrator, commands: Commands) -> Response:
    """Grant a role."""
    command = roles.GrantRole(body.person_id, body.role)
    return await commands.run(caller, lambda tx: roles.grant_role(tx, command))


@router.post("/roles/revocations", status_code=204)
async def revoke_role(body: RoleOfPerson, caller: Administrator, commands: Commands) -> Response:
    """Revoke a role; the last administrator stays."""
    command = roles.RevokeRole(body.person_id, body.role)
    return await commands.run(caller, lambda tx: roles.revoke_role(tx, command))


@router.post("/signing-keys/rotation", response_model=KeyRotated)
async def rotate_signing_key(caller: Administrator, commands: Commands, signer: Signing) -> Response:
    """Sign tokens with a new key; those signed before stay valid."""
    answer = await commands.run(replace(caller, municipality=INSTALLATION), signer.rotate)
    signer.read_anew()
    return answer

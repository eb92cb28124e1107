"""Logging in and the keys that tokens are signed with. These take no Idempotency-Key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from chassis.auth import Caller, NotAuthenticated
from chassis.http import Views, anybody
from chassis.http.problems import PROBLEMS
from chassis.municipality import Municipality
from services.directory.commands import sessions
from services.directory.commands.sessions import Tokens
from services.directory.queries.identity import Identity, identity_of
from services.directory.routes.fields import Body, Login, Password, Signing, Store, Token

router = APIRouter(tags=["tokens"])

KEYS_FRESH = "public, max-age=60"
_TOO_MANY = {**PROBLEMS[422], "description": "Too many failures: wait 15 minutes"}


class KeySet(BaseModel):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, object]]


class Credentials(Body):
    """Whose town, login and password."""

    municipality: Municipality
    login: Login
    password: Password


class RefreshToken(Body):
    """A refresh token."""

    refresh_token: Token


class FirstPassword(Body):
    """The token of a one-time link and the new password."""

    link_token: Token
    password: Password


@router.get("/.well-known/jwks.json")
async def signing_keys(store: Store, signer: Signing, response: Response) -> KeySet:
    """The keys that tokens are signed with: every one whose tokens may still be valid."""
    response.headers["Cache-Control"] = KEYS_FRESH
    return KeySet(keys=await signer.public_keys(store))


@router.post("/tokens", responses={429: _TOO_MANY})
async def log_in(credentials: Credentials, store: Store, signer: Signing, response: Response) -> Tokens:
    """Log in: a token of five minutes and a refresh token of twelve hours at most."""
    response.headers["Cache-Control"] = "no-store"
    command = sessions.LogIn(credentials.municipality, credentials.login, credentials.password)
    return await sessions.log_in(store, signer, command)


@router.post("/tokens/refresh")
async def refresh(body: RefreshToken, store: Store, signer: Signing, response: Response) -> Tokens:
    """Go on: a new token with the roles of today, and the next refresh token."""
    response.headers["Cache-Control"] = "no-store"
    return await sessions.refresh(store, signer, body.refresh_token)


@router.post("/tokens/revocation", status_code=204)
async def log_out(body: RefreshToken, store: Store) -> None:
    """Log out; tokens given before run out within five minutes."""
    await sessions.end_session(store, body.refresh_token)


@router.post("/passwords", status_code=204)
async def set_password(body: FirstPassword, store: Store) -> None:
    """Set a password by a one-time link, which is used up. All sessions of the account end."""
    await sessions.set_password(store, sessions.SetPassword(body.link_token, body.password))


@router.get("/me")
async def me(caller: Annotated[Caller, Depends(anybody)], views: Views) -> Identity:
    """The caller and their roles as of now."""
    async with views.of(caller) as view:
        identity = await identity_of(view.connection, view.municipality, caller.person_id, view.today)
    if identity is None:
        raise NotAuthenticated
    return identity

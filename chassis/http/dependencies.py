"""What routes ask for: who is calling, with which roles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from chassis.auth import Caller, NotAuthenticated, TokenVerifier
from chassis.refusals import Forbidden

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A token issued by directory, minutes long")


async def anybody(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The verified caller, of any role.

    Raises:
        NotAuthenticated: no valid token.
    """
    if credentials is None:
        raise NotAuthenticated
    verifier: TokenVerifier = request.app.state.verifier
    caller = await verifier.verify(credentials.credentials)
    request.state.municipality = caller.municipality
    structlog.contextvars.bind_contextvars(municipality=caller.municipality)
    return caller


def allow(*roles: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, who holds one of the roles.

    Finer rules (own section, own case) are decided by the domain, on the service's own facts.
    """

    async def allowed(caller: Annotated[Caller, Depends(anybody)]) -> Caller:
        if not caller.has(*roles):
            raise Forbidden
        return caller

    return allowed

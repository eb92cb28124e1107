"""Types of what requests hold: bounded, and without characters that no name has."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from chassis.auth import Caller
from chassis.database import Database
from chassis.http import allow, anybody
from chassis.refusals import Forbidden
from services.directory.commands.accounts import Links
from services.directory.commands.signing import Signer

NO_CONTROL = r"^[^\x00-\x1f\x7f]+$"
NO_CONTROL_BUT_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_CONTROL, strip_whitespace=True)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=NO_CONTROL, strip_whitespace=True)]
Login = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_CONTROL)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[0-9a-f.]+$")]
Search = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_CONTROL)]
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]
DayQuery = Annotated[date | None, Query(ge=date(1900, 1, 1), le=date(2199, 12, 31))]
FiscalYear = Annotated[int, Path(ge=2000, le=2100, description="the year of its 1 April")]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _signer(request: Request) -> Signer:
    signer: Signer = request.app.state.resources["signer"]
    return signer


def _links(request: Request) -> Links:
    return Links(_database(request), _signer(request))


Store = Annotated[Database, Depends(_database)]
Signing = Annotated[Signer, Depends(_signer)]
OneTimeLinks = Annotated[Links, Depends(_links)]


async def _colleague(caller: Annotated[Caller, Depends(anybody)]) -> Caller:
    """Somebody of the town. An adviser comes from outside and is not shown its people."""
    if caller.has("adviser") and not caller.has("hr", "it_policy", "admin", "executive", "leader", "section_head"):
        raise Forbidden
    return caller


Colleague = Annotated[Caller, Depends(_colleague)]
Personnel = Annotated[Caller, Depends(allow("hr"))]
Registrar = Annotated[Caller, Depends(allow("hr", "admin"))]
Steward = Annotated[Caller, Depends(allow("hr", "it_policy", "admin"))]
Administrator = Annotated[Caller, Depends(allow("admin"))]

CSV_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "a CSV file, UTF-8 (with or without BOM) or CP932, up to 10 MiB",
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}

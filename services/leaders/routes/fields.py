"""Bounds of what callers may send: days that calendars know, lines that a database can hold."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Year = Annotated[int, Field(ge=2000, le=2200, description="the year of its 1 April")]
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2201, 12, 31))]
# PostgreSQL's text holds no NUL; a post or a document number is one line.
Line = Annotated[
    str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
Reason = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]


class Body(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

"""Reading: one municipality, one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated

from fastapi import Depends, Request

from chassis.auth import Caller
from chassis.database import Database
from chassis.transaction import Connection


@dataclass(frozen=True, slots=True)
class View:
    """What a query gets: a connection that sees one municipality, and the civil time."""

    connection: Connection
    municipality: str
    now: datetime

    @property
    def today(self) -> date:
        """The present day of the town."""
        return self.now.date()


class ViewOpener:
    """Opens views on the service's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def of(self, caller: Caller) -> AsyncIterator[View]:
        """A read-only view of the caller's municipality."""
        async with self._database.reading(caller.municipality) as connection:
            clock = await self._database.civil_clock(connection)
            yield View(connection, caller.municipality, clock.now())


def _views(request: Request) -> ViewOpener:
    return ViewOpener(request.app.state.database)


Views = Annotated[ViewOpener, Depends(_views)]

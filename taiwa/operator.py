"""What the operator of an installation does on directory's database itself, before or beside any account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from chassis.database import Database
from chassis.municipality import INSTALLATION
from chassis.refusals import Refusal
from chassis.settings import InstallationSettings
from chassis.transaction import Actor
from services.directory.commands.administrators import AdminCreated, CreateAdmin, create_admin
from services.directory.commands.clock import CivilTime, SetCivilClock, set_civil_clock
from taiwa.mendable import Mendable

_ACTOR = Actor("system", "operator")


@asynccontextmanager
async def directory(settings: InstallationSettings, password: str) -> AsyncIterator[Database]:
    """Open directory's database as its api role."""
    database = await Database.connect(settings, "directory", "api", password, 1)
    try:
        yield database
    finally:
        await database.close()


async def make_admin(database: Database, command: CreateAdmin) -> AdminCreated:
    """Enter a town with its first administrator, or give that administrator a new one-time link.

    Raises:
        Mendable: the code is malformed, or the login is taken.
    """
    try:
        return await create_admin(database, command)
    except ValueError as fault:
        raise Mendable(f"{fault}", "Correct --municipality; its last digit is a check digit.") from fault
    except Refusal as refusal:
        raise Mendable(refusal.sentence("en"), "Choose another --login.") from refusal


async def civil_now(database: Database) -> datetime:
    """The town's time, as directory has it."""
    async with database.reading(INSTALLATION) as connection:
        return (await database.civil_clock(connection)).now()


async def put_clock(database: Database, civil_at: datetime, *, simulated: bool) -> CivilTime:
    """Put the simulated civil clock to an instant; it goes forward only.

    Raises:
        Mendable: the clock of this installation is not simulated, or the instant lies in the past.
    """
    try:
        async with database.transaction(INSTALLATION, _ACTOR) as tx:
            return await set_civil_clock(tx, SetCivilClock(civil_at, simulated))
    except Refusal as refusal:
        raise Mendable(
            refusal.sentence("en"), "The demo and TAIWA_SIMULATED_CLOCK=true have a clock to set."
        ) from refusal

"""The town's clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime

from chassis.auth import Caller
from chassis.http import Commands, Views, anybody
from chassis.municipality import INSTALLATION
from services.directory.commands.clock import CivilTime, SetCivilClock, set_civil_clock
from services.directory.routes.fields import Administrator, Body, Store

router = APIRouter(tags=["clock"])


class NewTime(Body):
    """The instant to put the clock to, with its offset."""

    civil_at: AwareDatetime


@router.get("/civil-clock")
async def get_civil_clock(caller: Annotated[Caller, Depends(anybody)], views: Views, store: Store) -> CivilTime:
    """The town's time."""
    async with views.of(caller) as view:
        return CivilTime(civil_at=view.now, simulated=store.simulated_clock)


@router.post("/civil-clock", response_model=CivilTime)
async def put_civil_clock(body: NewTime, caller: Administrator, store: Store, commands: Commands) -> Response:
    """Put the simulated clock of the whole installation forward; the first setting may lie anywhere."""
    command = SetCivilClock(body.civil_at, simulated=store.simulated_clock)
    of_installation = replace(caller, municipality=INSTALLATION)
    return await commands.run(of_installation, lambda tx: set_civil_clock(tx, command))

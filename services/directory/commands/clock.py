"""The simulated clock of the whole installation. It is refused where time is real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel

from chassis.clocks import machine_now
from chassis.transaction import Transaction
from services.directory.domain.clock import ClockNotSimulated, advance
from services.directory.repository import years as kept
from taiwa_contracts.directory import CivilClockSetV1


@dataclass(frozen=True, slots=True)
class SetCivilClock:
    """Put the town's clock to an instant; it runs on from there."""

    civil_at: datetime
    simulated: bool


class CivilTime(BaseModel):
    """The town's time, and whether it is simulated."""

    civil_at: datetime
    simulated: bool


async def set_civil_clock(tx: Transaction, command: SetCivilClock) -> CivilTime:
    """Set the clock. The transaction is the installation's (municipality ``000000``), not a town's."""
    if not command.simulated:
        raise ClockNotSimulated
    running = await kept.lock_clock(tx.connection) > 0
    civil_at = advance(tx.now, command.civil_at, running=running)
    machine_at = machine_now()
    version = await kept.save_clock(tx.connection, civil_at, machine_at)
    tx.emit(CivilClockSetV1(civil_at=civil_at, machine_at=machine_at), version=version)
    return CivilTime(civil_at=civil_at, simulated=True)

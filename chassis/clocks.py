"""The two clocks. Nothing else in the product reads the time.

``civil``   time of the town: fiscal years, due dates, when timers are due, ``occurred_at``. May be simulated.
``machine`` never simulated: tokens, sessions, retries, leases, timeouts, ``recorded_at``.

The simulated civil clock is one fact published by directory (``CivilClockSet``); every service keeps the newest in
its table ``civil_clock`` and each transaction reads it there, so that all roles of a service agree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime

from chassis.calendar import TOKYO


def machine_now() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never go back, for deadlines and durations."""
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """At ``machine_at`` the town's clock was put to ``civil_at``; from there it runs at the machine's pace."""

    civil_at: datetime
    machine_at: datetime


class CivilClock:
    """The town's time. Without a simulation it is the machine's, shown in Asia/Tokyo."""

    def __init__(self, simulated: SimulatedTime | None = None) -> None:
        self.simulated = simulated

    def now(self) -> datetime:
        """The present instant in Asia/Tokyo."""
        now = machine_now()
        if self.simulated is not None:
            now = self.simulated.civil_at + (now - self.simulated.machine_at)
        return now.astimezone(TOKYO)

    def today(self) -> date:
        """The present day of the town."""
        return self.now().date()

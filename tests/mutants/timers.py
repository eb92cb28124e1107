"""Mistakes of the timers role."""

from __future__ import annotations

from chassis import failpoints
from chassis.database import ALL_MUNICIPALITIES
from chassis.timers import Timers
from tests.mutants.patching import Undo, replace


def timer_outside_its_transaction() -> Undo:
    """A timer is taken in one transaction and has its effect in another: what a crash in between takes never runs."""

    async def page(self: Timers, limit: int) -> int:
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            due = await self._claim(connection, limit)
        failpoints.reach("timers.after_claim")
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            for timer in due:
                await self._effect(connection, timer)
        failpoints.reach("timers.after_commit")
        return len(due)

    return replace((Timers, "_page", page))

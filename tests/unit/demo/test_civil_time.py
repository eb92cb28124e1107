"""The civil clock moves by way of every due timer and waits for the town to come to rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from chassis.calendar import TOKYO
from taiwa.civil_time import Look, Town
from taiwa.mendable import Mendable

BEGIN = datetime(2026, 4, 1, 8, 30, tzinfo=TOKYO)


def days(count: float) -> datetime:
    return BEGIN + timedelta(days=count)


async def nothing(_: Sequence[str]) -> dict[tuple[str, int], int]:
    return {}


class Scripted(Town):
    """Two services with timers; a jump leaves ``work`` looks of events to apply."""

    def __init__(self, timers: dict[str, list[datetime]], work: int = 0, *, stopped: bool = False) -> None:
        super().__init__({}, nothing)
        self.timers = timers
        self.work = work
        self.left = 0
        self.stopped = stopped
        self.at: datetime | None = None
        self.jumps: list[datetime] = []

    async def set_clock(self, at: datetime) -> None:
        assert not self.left, "the clock moved although events were still to be applied"
        self.at, self.left = at, self.work
        self.jumps.append(at)
        self.timers = {name: [due for due in dues if due > at] for name, dues in self.timers.items()}

    async def look(self, now: datetime) -> dict[str, Look]:
        behind, self.left = self.left, max(0, self.left - 1)
        return {
            name: Look(
                civil_at=self.at,
                next_due=min((due for due in dues if due > now), default=None),
                due=False,
                unpublished=0,
                behind=behind if not self.stopped else 1,
                position=len(self.jumps),
                stopped=self.stopped,
            )
            for name, dues in self.timers.items()
        }


async def test_every_due_timer_of_any_service_is_a_stop_on_the_way() -> None:
    town = Scripted({"leaders": [days(2), days(9)], "directory": [days(1), days(30)]}, work=3)
    assert await town.advance(BEGIN, days(10), town.set_clock) == 4
    assert town.jumps == [days(1), days(2), days(9), days(10)]


async def test_a_town_that_does_not_come_to_rest_is_told_with_the_service_that_stands_still() -> None:
    town = Scripted({"leaders": []}, stopped=True)
    with pytest.raises(Mendable, match=r"leaders \(a consumer stands still\)"):
        await town.drained(BEGIN, seconds=0.2)


async def test_services_that_have_not_heard_of_the_new_time_are_waited_for() -> None:
    class OneIsLate(Scripted):
        async def look(self, now: datetime) -> dict[str, Look]:
            looks = await super().look(now)
            return looks | {"directory": replace(looks["directory"], civil_at=days(1))}

    town = OneIsLate({"leaders": [], "directory": []})
    with pytest.raises(Mendable, match="leaders"):
        await town.drained(BEGIN, seconds=0.2)

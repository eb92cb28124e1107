"""Coverage: whether a section has as many leaders as its town's rule asks for, and since which day.

Never covered is not lost. Every section begins without leaders, and what happens then is told as it is: it is asked
(``NominationRequested``), it is late, hr asks again. ``CoverageLost`` says that a section had enough and has them no
more, which is when others have to act: a successor is sought, a deputy stands in. Told of a section that never had any,
it would come for every section on the day the town begins, say "since" of a day on which nothing happened, and count
new sections as failures. So nothing is published of such a section; the board shows it by a standing of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

Standing = Literal["covered", "lost", "never"]
"""``never``: at no time up to the day did the section have enough leaders."""

_DAY = timedelta(days=1)


class Period(NamedTuple):
    """Days in office, both inclusive; an open end is ``None``."""

    first_day: date
    last_day: date | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was last said of a section. One that never had enough leaders has lost nothing: version 0."""

    section_id: UUID
    covered: bool = False
    since_on: date | None = None
    version: int = 0


def leaders_on(periods: Sequence[Period], day: date) -> int:
    """How many leaders are in office on a day."""
    return sum(period.first_day <= day and (period.last_day is None or day <= period.last_day) for period in periods)


def judge(coverage: Coverage, periods: Sequence[Period], needed: int, today: date) -> Coverage:
    """The coverage as it is today; ``since_on`` is the day it became so. Unchanged: the same object."""
    covered = leaders_on(periods, today) >= needed
    if covered == coverage.covered:
        return coverage
    since_on = _since(periods, needed, today, covered=covered)
    return replace(coverage, covered=covered, since_on=since_on, version=coverage.version + 1)


def _since(periods: Sequence[Period], needed: int, today: date, *, covered: bool) -> date:
    """The first day of the unbroken run up to today. The number changes only where a period begins or has ended."""
    changes = {period.first_day for period in periods}
    changes |= {period.last_day + _DAY for period in periods if period.last_day is not None}
    since = today
    for day in sorted((day for day in changes if day <= today), reverse=True):
        since = day
        if (leaders_on(periods, day - _DAY) >= needed) != covered:
            break
    return since


def standing(coverage: Coverage, periods: Sequence[Period], needed: int, day: date) -> Standing:
    """How a section stands on a day; what was said of it holds, whatever the rule of today would make of the past."""
    if leaders_on(periods, day) >= needed:
        return "covered"
    said = coverage.version > 0 and coverage.since_on is not None and coverage.since_on <= day
    # The number of leaders rises on first days only.
    had_enough = any(it.first_day <= day and leaders_on(periods, it.first_day) >= needed for it in periods)
    return "lost" if said or had_enough else "never"

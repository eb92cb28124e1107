"""Until when a desk owes its answer, by the town's open days and closing times."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime

from chassis.calendar import at, fiscal_year_of, working_days_after

DEFAULT_CLOSES_AT = "17:15"


@dataclass(frozen=True, slots=True)
class Calendar:
    """Closed days and closing times by fiscal year, as far as the town has published them."""

    closed_days: AbstractSet[date] = frozenset()
    closes_at: Mapping[int, str] | None = None

    def answer_due(self, asked_at: datetime) -> datetime:
        """The end of office hours on the next open day after ``asked_at`` (which is in the town's zone)."""
        due_on = working_days_after(asked_at.date(), 1, self.closed_days)
        return at(due_on, (self.closes_at or {}).get(fiscal_year_of(due_on), DEFAULT_CLOSES_AT))

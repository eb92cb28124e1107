"""Who is away, and when; never why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.http import View
from services.leaders.domain.wording import short

_ABSENCES = """
SELECT person_id, from_on, until_on FROM absences
WHERE municipality = $1 AND NOT withdrawn AND from_on <= $3 AND (until_on IS NULL OR until_on >= $2)
ORDER BY from_on
"""


@dataclass(frozen=True, slots=True)
class Absence:
    """Days a person is away, both inclusive."""

    from_on: date
    until_on: date | None

    @property
    def words(self) -> str:
        """``7月1日から不在``; the reason is nobody's business."""
        return f"{short(self.from_on)}から{f'{short(self.until_on)}まで' if self.until_on else ''}不在"


async def absences_between(view: View, first: date, last: date) -> dict[UUID, list[Absence]]:
    """Who is away on any of the days, and when."""
    found: dict[UUID, list[Absence]] = {}
    for row in await view.connection.fetch(_ABSENCES, view.municipality, first, last):
        found.setdefault(row["person_id"], []).append(Absence(row["from_on"], row["until_on"]))
    return found

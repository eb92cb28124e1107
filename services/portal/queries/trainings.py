"""Training programmes and what was completed."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel


class Programme(BaseModel):
    """A training programme; the numbers count the leaders in office."""

    programme_id: str
    title: str
    summary: str
    offered_at: datetime
    leaders: int
    leaders_completed: int
    completed_on: date | None


class LeaderToGo(BaseModel):
    """A leader who has not completed a programme."""

    person_id: str
    name: str | None
    section_name: str | None


class ProgrammeDetail(Programme):
    """One programme with those who have not completed it; nobody where the visitor may not know."""

    leaders_to_go: list[LeaderToGo] | None


class Completion(BaseModel):
    """A training somebody completed."""

    completion_id: str
    programme_id: str
    programme_title: str
    person_id: str
    name: str | None
    completed_on: date
    source: str
    recorded_by_name: str | None
    recorded_at: datetime
    revoked_at: datetime | None

"""What a section was asked, whom it named and whom it may name."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel

from chassis.http.problems import ProblemArticle
from services.portal.queries.parts import Asked


class SectionCallSummary(BaseModel):
    """A section's call in a list."""

    section_call_id: str
    section_id: str
    section_name: str
    fiscal_year: int
    state: str
    closes_on: date
    open_until: date


class Nomination(BaseModel):
    """Somebody the section named; ``state``: standing, decided or sent_back."""

    person_id: str
    name: str | None
    post: str | None
    state: str
    nominated_by_name: str | None
    nominated_at: datetime


class Candidate(BaseModel):
    """Somebody who may be named."""

    person_id: str
    name: str | None
    post: str | None
    concurrent: bool = False
    times_served: int = 0
    absence: str | None = None
    nominated: bool = False
    is_leader: bool = False


class SectionCall(SectionCallSummary):
    """One section's call with those who may be named."""

    can_answer: bool
    leaders_per_section: int = 1
    people_article: ProblemArticle | None = None
    closing_article: ProblemArticle | None = None
    nominations: list[Nomination]
    candidates: list[Candidate]
    requests: list[Asked]

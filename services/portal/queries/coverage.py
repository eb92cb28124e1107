"""The coverage board, and the years it can show."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel

from chassis.http.problems import ProblemArticle
from services.portal.gateway import Services, part
from services.portal.queries.parts import Asked, Decision, Deputy, Listed


class Head(BaseModel):
    """A section's head."""

    name: str | None
    post: str | None = None


class BoardLeader(BaseModel):
    """A leader or candidate on the coverage board; ``note`` is ready to show."""

    person_id: str
    name: str | None
    post: str | None = None
    appointment_id: str | None = None
    deputy: Deputy | None = None
    note: str = ""


class Warned(BaseModel):
    """What a rule asks for, ready to show."""

    text: str


class BoardRow(BaseModel):
    """One section on the coverage board."""

    section_id: str
    section_name: str
    head: Head | None
    section_call_id: str | None
    status: str
    standing: str = ""
    """covered; lost: had enough leaders and has them no more; never: not yet once."""
    late_working_days: int = 0
    leaders: list[BoardLeader]
    answered_on: date | None
    requests: list[Asked]
    decision: Decision | None
    entered_by: str | None
    entered_at: datetime | None
    warning: Warned | None


class Rule(BaseModel):
    """The rule a board is measured by."""

    article: str | None
    text: str | None
    fictional: bool = False


class Board(BaseModel):
    """The coverage board of one fiscal year."""

    fiscal_year: int
    as_of: datetime
    called_on: date | None = None
    closes_on: date | None
    term_ends_on: date
    appointment_word: str = "選任"
    rule: Rule
    closing_article: ProblemArticle | None = None
    rows: list[BoardRow]


class FiscalYear(BaseModel):
    """An open fiscal year."""

    fiscal_year: int


async def known_years(services: Services) -> list[int]:
    """The fiscal years that were opened; none where directory is silent."""
    years = await part(services.glance("directory", "/fiscal-years", Listed[FiscalYear]))
    return [each.fiscal_year for each in years.content.items] if years.content else []

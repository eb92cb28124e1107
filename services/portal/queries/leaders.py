"""Leaders: who leads a section, and one leader's term."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel

from services.portal.queries.parts import Decision, Deputy


class KnownLeader(BaseModel):
    """Who leads a section, as consultations knows it."""

    appointment_id: str
    person_id: str
    name: str
    post: str | None
    section_id: str
    section_name: str
    head_name: str | None
    from_on: date
    until_on: date | None


class Appointment(BaseModel):
    """One leader's term."""

    appointment_id: str
    section_call_id: str
    fiscal_year: int
    section_id: str
    section_name: str
    person_id: str
    name: str | None
    word: str
    starts_on: date
    ends_on: date | None
    withdrawn: bool = False
    in_office: bool
    decision: Decision
    deputy: Deputy | None
    entered_by_name: str | None = None
    entered_at: datetime | None = None

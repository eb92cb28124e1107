"""Consultations: the list, one case, what it can be about and who answers."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class Member(BaseModel):
    """A person's id and name."""

    person_id: str
    name: str


class Led(BaseModel):
    """A section whose leader somebody is."""

    section_name: str


class CasePerson(BaseModel):
    """Somebody in a consultation."""

    person_id: str
    name: str
    post: str | None = None
    section: str = ""
    leader_of: list[Led] = []


class CaseHead(BaseModel):
    """What a consultation is called, whose it is to answer, and how it stands."""

    consultation_id: str
    number: str
    title: str
    category_label: str
    desk: str
    desk_label: str
    state: str


class CaseSummary(CaseHead):
    """A row of a list of consultations."""

    requester: Member
    section_name: str
    assignee: Member | None
    opened_at: datetime
    answer_due_at: datetime | None
    overdue: bool
    mine: bool


class CaseEntry(BaseModel):
    """One entry of a consultation."""

    entry_id: str
    kind: str
    author: CasePerson
    body: str
    written_at: datetime


class CaseClock(BaseModel):
    """Time for the answer, and why it runs or stands."""

    running: bool
    answer_due_at: datetime | None
    overdue: bool
    reason: str
    first_replied_at: datetime | None = None
    first_answered_at: datetime | None = None


class Case(CaseHead):
    """One consultation."""

    requester: CasePerson
    assignee: CasePerson | None
    clock: CaseClock
    opened_at: datetime
    resolved_at: datetime | None = None
    resolved_by: Member | None = None
    entries: list[CaseEntry]
    mine: bool
    may: list[str]
    version: int


class Category(BaseModel):
    """What a consultation can be about."""

    code: str
    label: str
    desk_label: str


class CaseDesk(BaseModel):
    """Who answers."""

    desk: str
    label: str
    people: list[Member]

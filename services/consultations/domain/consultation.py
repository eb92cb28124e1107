"""A case between somebody who asks and the desk that answers.

A case has one clock: it runs while the desk owes an answer and stands while the requester is asked back, after the
answer, and once resolved. Who belongs to the case: its requester and the two desks; for everybody else it is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from chassis.refusals import ConcurrentChange, NotFound
from services.consultations.domain.calendar import Calendar
from services.consultations.domain.refusals import (
    AlreadyAssigned,
    AlreadyResolved,
    NotOfADesk,
    NotResolved,
    NotTheDesk,
    NotTheRequester,
    OwnConsultation,
)
from taiwa_contracts.consultations import Desk

State = Literal["open", "answered", "waiting_requester", "resolved"]
"""``open``: the desk owes an answer. ``waiting_requester``: asked back. ``answered``: waits for 解決の確認."""

EntryKind = Literal["answer", "question", "reply", "note"]
"""``question``: the desk asks back. ``reply``: the requester's. ``note``: between the desks, never leaves."""

_FIRST_REIWA = 2018


def number_of(fiscal_year: int, ordinal: int) -> str:
    """``R8-0142``: the fiscal year by its era (令和) and the case's ordinal in it."""
    return f"R{fiscal_year - _FIRST_REIWA}-{ordinal:04d}"


@dataclass(frozen=True, slots=True)
class Party:
    """Who acts: a person and the desks they belong to."""

    person_id: UUID
    desks: frozenset[Desk] = frozenset()


@dataclass(frozen=True, slots=True)
class Consultation:
    """One case. ``answer_due_at`` is ``None`` while the clock stands."""

    consultation_id: UUID
    number: str
    title: str
    category: str
    desk: Desk
    requester_person_id: UUID
    section_id: UUID
    opened_at: datetime
    changed_at: datetime
    answer_due_at: datetime | None
    state: State = "open"
    assignee_person_id: UUID | None = None
    first_replied_at: datetime | None = None
    first_answered_at: datetime | None = None
    resolved_at: datetime | None = None
    resolved_by_person_id: UUID | None = None
    version: int = 1

    def changed(self, now: datetime, **changes: object) -> Consultation:
        """The next version of this case."""
        return replace(self, changed_at=now, version=self.version + 1, **changes)  # type: ignore[arg-type]  # names are this class's own

    def overdue(self, now: datetime) -> bool:
        """Whether the desk owes an answer that is late."""
        return self.answer_due_at is not None and now > self.answer_due_at

    def seen_by(self, party: Party) -> bool:
        """Whether the case exists for that person."""
        return party.person_id == self.requester_person_id or bool(party.desks)

    def notes_seen_by(self, party: Party) -> bool:
        """Whether the notes exist for that person: the desks', never the requester's."""
        return party.person_id != self.requester_person_id and bool(party.desks)


def met(consultation: Consultation | None, party: Party, expected_version: int | None = None) -> Consultation:
    """The case, as the party may know and act on it.

    Raises:
        NotFound: there is none, or not for this person.
        ConcurrentChange: it is no longer as the person saw it.
    """
    if consultation is None or not consultation.seen_by(party):
        raise NotFound
    if expected_version is not None and expected_version != consultation.version:
        raise ConcurrentChange
    return consultation


def _require_desk(consultation: Consultation, party: Party) -> None:
    if not party.desks:
        raise NotTheDesk
    if party.person_id == consultation.requester_person_id:
        raise OwnConsultation


def assign(consultation: Consultation, by: Party, assignee: Party, now: datetime) -> Consultation:
    """Give the case an owner; one from the other desk takes it over to that desk.

    Raises:
        NotTheDesk, OwnConsultation, NotOfADesk, AlreadyAssigned, AlreadyResolved
    """
    if not by.desks:
        raise NotTheDesk
    if consultation.state == "resolved":
        raise AlreadyResolved
    if not assignee.desks:
        raise NotOfADesk
    if assignee.person_id == consultation.requester_person_id:
        raise OwnConsultation
    if assignee.person_id == consultation.assignee_person_id:
        raise AlreadyAssigned
    desk = consultation.desk if consultation.desk in assignee.desks else min(assignee.desks)
    return consultation.changed(now, assignee_person_id=assignee.person_id, desk=desk)


def note(consultation: Consultation, by: Party) -> None:
    """Whether the party may leave a note, also on a resolved case. A note is no fact for others: no new version.

    Raises:
        NotTheDesk, OwnConsultation
    """
    _require_desk(consultation, by)


def answer(consultation: Consultation, kind: Literal["answer", "question"], by: Party, now: datetime) -> Consultation:
    """The desk answers or asks back; either way the clock stands.

    Raises:
        NotTheDesk, OwnConsultation, AlreadyResolved
    """
    _require_desk(consultation, by)
    if consultation.state == "resolved":
        raise AlreadyResolved
    return consultation.changed(
        now,
        state="answered" if kind == "answer" else "waiting_requester",
        answer_due_at=None,
        first_replied_at=consultation.first_replied_at or now,
        first_answered_at=consultation.first_answered_at or (now if kind == "answer" else None),
    )


def reply(consultation: Consultation, by: Party, now: datetime, calendar: Calendar) -> Consultation:
    """The requester writes again: the desk owes an answer, and its clock runs anew if it stood.

    Raises:
        NotTheRequester, AlreadyResolved
    """
    if by.person_id != consultation.requester_person_id:
        raise NotTheRequester
    if consultation.state == "resolved":
        raise AlreadyResolved
    due_at = consultation.answer_due_at or calendar.answer_due(now)
    return consultation.changed(now, state="open", answer_due_at=due_at)


def resolve(consultation: Consultation, by: Party, now: datetime) -> Consultation:
    """Requester or desk close the case.

    Raises:
        AlreadyResolved
    """
    if consultation.state == "resolved":
        raise AlreadyResolved
    return consultation.changed(
        now, state="resolved", answer_due_at=None, resolved_at=now, resolved_by_person_id=by.person_id
    )


def reopen(consultation: Consultation, now: datetime, calendar: Calendar) -> Consultation:
    """Requester or desk open a resolved case again; the clock runs anew.

    Raises:
        NotResolved
    """
    if consultation.state != "resolved":
        raise NotResolved
    return consultation.changed(
        now, state="open", answer_due_at=calendar.answer_due(now), resolved_at=None, resolved_by_person_id=None
    )


def open_to(consultation: Consultation, party: Party) -> list[str]:
    """What the party can do with the case now, so that a screen offers nothing that would be refused."""
    own = party.person_id == consultation.requester_person_id
    resolved = consultation.state == "resolved"
    offered = {
        "assign": bool(party.desks) and not resolved,
        "answer": bool(party.desks) and not own and not resolved,
        "question": bool(party.desks) and not own and not resolved,
        "reply": own and not resolved,
        "note": bool(party.desks) and not own,
        "resolve": not resolved,
        "reopen": resolved,
    }
    return [act for act, possible in offered.items() if possible]

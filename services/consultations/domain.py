"""A case between somebody who asks and the desk that answers. Pure.

A case has one clock: it runs while the desk owes an answer and stands while the requester is asked back, after the
answer, and once resolved. Who belongs to the case: its requester and the two desks; for everybody else it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

from chassis.calendar import at, fiscal_year_of, working_days_after
from chassis.refusals import ConcurrentChange, NotFound, Refusal
from taiwa_contracts.consultations import Desk

State = Literal["open", "answered", "waiting_requester", "resolved"]
"""``open``: the desk owes an answer. ``waiting_requester``: asked back. ``answered``: waits for 解決の確認."""

EntryKind = Literal["answer", "question", "reply", "note"]
"""``question``: the desk asks back. ``reply``: the requester's. ``note``: between the desks, never leaves."""

DESKS: tuple[Desk, ...] = get_args(Desk)
FALLBACK_CATEGORY = "other"
FALLBACK_DESK: Desk = "it_policy"
DEFAULT_CLOSES_AT = "17:15"
_FIRST_REIWA = 2018


class AlreadyResolved(Refusal):
    """A resolved case takes no further word."""

    code = "consultations.already_resolved"
    ja = "この相談は解決済みです。続きがあるときは「もう一度相談する」を押してから書いてください。"
    en = "This consultation is resolved. Reopen it, then write."


class NotResolved(Refusal):
    """Only a resolved case can be reopened."""

    code = "consultations.not_resolved"
    ja = "この相談はまだ続いています。このまま書いてください。"
    en = "This consultation is not resolved; write to it as it is."


class NotTheDesk(Refusal):
    """Answers, questions back, notes and assignments are the desk's."""

    code = "consultations.not_the_desk"
    status = 403
    ja = "答えるのは担当の課です。あなたからは「返事」を書いてください。"
    en = "Only the desk answers, asks back, notes and assigns; write a reply instead."


class NotTheRequester(Refusal):
    """A reply is the requester's."""

    code = "consultations.not_the_requester"
    status = 403
    ja = "「返事」は相談した人が書きます。担当の課からは「答える」か「質問を返す」を選んでください。"
    en = "Only the requester replies; the desk answers or asks back."


class OwnConsultation(Refusal):
    """Nobody answers or takes their own case."""

    code = "consultations.own_consultation"
    ja = "自分の相談は自分で受け持てません。ほかの担当者にたのんでください。"
    en = "Nobody answers or takes their own consultation; ask a colleague of the desk."


class NotOfADesk(Refusal):
    """An owner belongs to one of the desks."""

    code = "consultations.not_of_a_desk"
    status = 422
    ja = "担当にできるのは、総務課と総合政策課の担当者です。一覧から選び直してください。"
    en = "The assignee must hold the role hr or it_policy; choose one from GET /desks."


class AlreadyAssigned(Refusal):
    """The case has that owner."""

    code = "consultations.already_assigned"
    ja = "この人はすでに担当です。"
    en = "This person already owns the consultation."


class UnknownCategory(Refusal):
    """A category is one of the town's."""

    code = "consultations.unknown_category"
    status = 422
    ja = "この分類はありません。一覧から選び直すか、選ばずに送ってください。"
    en = "There is no such category; choose one from GET /categories or leave it out."


class NoSection(Refusal):
    """A requester belongs to a section."""

    code = "consultations.no_section"
    ja = "所属が登録されていないため、相談を受け付けられません。総務課にお知らせください。"
    en = "The requester's section is not known; have it registered first."


@dataclass(frozen=True, slots=True)
class Category:
    """What a case is about and which desk it goes to; a town may change label and desk of each."""

    code: str
    label: str
    desk: Desk


DEFAULT_CATEGORIES: tuple[Category, ...] = (
    Category("leaders", "リーダーの選出・任期", "hr"),
    Category("trainings", "研修", "hr"),
    Category("work_style", "働き方・服務", "hr"),
    Category("devices", "端末・ネットワーク", "it_policy"),
    Category("tools", "チャット・テレワークなどの道具", "it_policy"),
    Category("security", "情報の安全", "it_policy"),
    Category("improvement", "業務の見直し", "it_policy"),
    Category(FALLBACK_CATEGORY, "その他", FALLBACK_DESK),
)


def categories_of(own: Iterable[Category]) -> list[Category]:
    """The categories of a town: the defaults in their order, changed by its own, then those it added."""
    changed = {category.code: category for category in own}
    known = [changed.pop(default.code, default) for default in DEFAULT_CATEGORIES]
    return [*known, *changed.values()]


def route(categories: Sequence[Category], code: str | None) -> Category:
    """The category a case belongs to; none given is その他.

    Raises:
        UnknownCategory: the town has no such category.
    """
    wanted = code or FALLBACK_CATEGORY
    found = next((category for category in categories if category.code == wanted), None)
    if found is None:
        raise UnknownCategory
    return found


@dataclass(frozen=True, slots=True)
class Calendar:
    """Closed days and closing times by fiscal year, as far as the town has published them."""

    closed_days: AbstractSet[date] = frozenset()
    closes_at: Mapping[int, str] | None = None

    def answer_due(self, asked_at: datetime) -> datetime:
        """The end of office hours on the next open day after ``asked_at`` (which is in the town's zone)."""
        due_on = working_days_after(asked_at.date(), 1, self.closed_days)
        return at(due_on, (self.closes_at or {}).get(fiscal_year_of(due_on), DEFAULT_CLOSES_AT))


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

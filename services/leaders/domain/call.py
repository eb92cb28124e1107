"""One section's answer to the yearly call: asked → answered → decided, and back to asked when it is sent back."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from chassis.calendar import fiscal_year_ends_on, fiscal_year_starts_on, working_days_after
from chassis.refusals import FieldError, Refusal
from services.leaders.domain.refusals import (
    AlreadyAnswered,
    AlreadyLeader,
    AlreadyNominated,
    CallClosed,
    ClosingDateInvalid,
    DecidedInFuture,
    EnoughLeaders,
    HasLeft,
    NotAsked,
    NotAwaitingDecision,
    NotOfSection,
    NotTheHead,
    StartsOutsideTerm,
)
from services.leaders.domain.rules import CALL_CLOSES, LEADERS_PER_SECTION, TERM, TownRules
from services.leaders.domain.wording import written

CallState = Literal["asked", "answered", "decided", "withdrawn"]

DAYS_TO_ANSWER_A_REMINDER = 5
"""Open days (開庁日) a section has when it is asked again after its closing date and no other date is given."""


@dataclass(frozen=True, slots=True)
class Nomination:
    """A person whom the section named and who is neither sent back nor decided."""

    nomination_id: UUID
    person_id: UUID
    nominated_by: UUID


@dataclass(frozen=True, slots=True)
class SectionCall:
    """What one section was asked for one fiscal year. ``closes_on`` counts lateness, ``open_until`` takes answers.

    The two differ once a section that has not answered is asked again after its date: it may answer, and stays late.
    """

    section_call_id: UUID
    fiscal_year: int
    section_id: UUID
    closes_on: date
    open_until: date
    state: CallState = "asked"
    nominations: tuple[Nomination, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person somebody wants to name, with what the service knows of them on :func:`first_day`."""

    person_id: UUID
    of_section: bool
    has_left: bool = False
    is_leader: bool = False


def may_act_for(section_head: UUID | None, caller: UUID, *, is_hr: bool) -> None:
    """Only the head of a section acts for it, or hr on its behalf (a vacant post has hr alone).

    Raises:
        NotTheHead: neither.
    """
    if not is_hr and caller != section_head:
        raise NotTheHead


def first_day(fiscal_year: int, today: date) -> date:
    """The day on which a candidate must belong to the section: today, or 1 April of a year to come."""
    return max(today, fiscal_year_starts_on(fiscal_year))


def closing_date(fiscal_year: int, closes_on: date, earliest: date) -> date:
    """The closing date itself; ``earliest`` is today, or the date that holds so far.

    Raises:
        ClosingDateInvalid: before ``earliest``, or after the fiscal year.
    """
    latest = fiscal_year_ends_on(fiscal_year)
    if not earliest <= closes_on <= latest:
        raise ClosingDateInvalid(earliest=written(earliest), latest=written(latest))
    return closes_on


def nominate(
    call: SectionCall, candidates: Sequence[Candidate], nominations: Sequence[Nomination], today: date, rules: TownRules
) -> SectionCall:
    """The call with new nominations (one per candidate, in order); it now waits for a decision.

    Raises:
        NotAsked, CallClosed, AlreadyNominated, AlreadyLeader, HasLeft, NotOfSection: in this order.
    """
    if call.state not in {"asked", "answered"}:
        raise NotAsked
    if today > call.open_until:
        raise CallClosed(
            closes_on=written(call.open_until), source=rules.source(CALL_CLOSES), article=rules.article(CALL_CLOSES)
        )
    named = [nomination.person_id for nomination in call.nominations]
    asked_for = [candidate.person_id for candidate in candidates]
    twice = [person in named or asked_for.index(person) != place for place, person in enumerate(asked_for)]
    _refuse(twice, AlreadyNominated)
    _refuse([candidate.is_leader for candidate in candidates], AlreadyLeader)
    _refuse([candidate.has_left for candidate in candidates], HasLeft)
    _refuse_strangers(candidates, rules)
    return replace(
        call, state="answered", nominations=(*call.nominations, *nominations), version=call.version + len(nominations)
    )


def send_back(call: SectionCall, answer_by: date) -> SectionCall:
    """The call without its nominations, asked again until ``answer_by``, which is its new closing date.

    Raises:
        NotAwaitingDecision: there is no answer to send back.
    """
    if call.state != "answered":
        raise NotAwaitingDecision
    version = call.version + 1
    return replace(call, state="asked", nominations=(), closes_on=answer_by, open_until=answer_by, version=version)


def remind(call: SectionCall, answer_by: date, *, enough_leaders: bool) -> SectionCall:
    """The call, asked again until ``answer_by``. A decided call opens anew when the section has lost its leaders.

    Who was asked for the first time and has not answered stays late; who had answered gets a new closing date.

    Raises:
        AlreadyAnswered: a decision is due, not an answer.
        EnoughLeaders: decided, and nobody is missing.
        NotAsked: the request was withdrawn (the section was closed).
    """
    if call.state == "answered":
        raise AlreadyAnswered
    if call.state == "withdrawn":
        raise NotAsked
    if call.state == "decided" and enough_leaders:
        raise EnoughLeaders
    closes_on = answer_by if call.state == "decided" else call.closes_on
    return replace(call, state="asked", closes_on=closes_on, open_until=answer_by, version=call.version + 1)


def head_is_to_hear(call: SectionCall, head: UUID | None, asked_head: UUID | None, this_year: int) -> bool:
    """Whether the present head has to be asked: the section owes an answer, and the last request went elsewhere.

    ``asked_head``: whom that request went to (``None``: the post was vacant). An answer for a year gone by is owed no
    more, and nobody is asked while the post is vacant.
    """
    return call.state == "asked" and call.fiscal_year >= this_year and head is not None and head != asked_head


def answer_by(call: SectionCall, wanted: date | None, today: date, closed_days: AbstractSet[date]) -> date:
    """Until when a section that is asked again may answer: as wanted, else its date if that is still to come.

    Raises:
        ClosingDateInvalid: the wanted date is past, earlier than the one that holds, or after the fiscal year.
    """
    if wanted is not None:
        return closing_date(call.fiscal_year, wanted, max(today, call.open_until))
    if call.open_until >= today:
        return call.open_until
    return working_days_after(today, DAYS_TO_ANSWER_A_REMINDER, closed_days)


def decide(
    call: SectionCall,
    nominees: Sequence[Candidate],
    decided_on: date,
    starts_on: date,
    *,
    today: date,
    rules: TownRules,
) -> SectionCall:
    """The call, decided. Its nominations become appointments from ``starts_on`` (see :func:`term_starts_on`).

    Raises:
        NotAwaitingDecision: not answered, sent back, or decided already.
        DecidedInFuture: a decision is recorded after it was made.
        StartsOutsideTerm: the term would not begin in its fiscal year.
        HasLeft, NotOfSection: a nominee has gone since; send the answer back.
    """
    if call.state != "answered":
        raise NotAwaitingDecision
    if decided_on > today:
        raise DecidedInFuture
    earliest, latest = fiscal_year_starts_on(call.fiscal_year), rules.term_ends_on(call.fiscal_year)
    if not earliest <= starts_on <= latest:
        raise StartsOutsideTerm(
            earliest=written(earliest), latest=written(latest), source=rules.source(TERM), article=rules.article(TERM)
        )
    _refuse([nominee.has_left for nominee in nominees], HasLeft)
    _refuse_strangers(nominees, rules)
    return replace(call, state="decided", nominations=())


def term_starts_on(fiscal_year: int, decided_on: date, starts_on: date | None) -> date:
    """The first day of a term: as given, else the day of the decision or 1 April, whichever is later.

    A term never begins before its decision by itself: an earlier first day (遡及) must be given.
    """
    return starts_on or max(decided_on, fiscal_year_starts_on(fiscal_year))


def _refuse_strangers(people: Sequence[Candidate], rules: TownRules) -> None:
    rule = LEADERS_PER_SECTION
    strangers = [not person.of_section for person in people]
    _refuse(strangers, NotOfSection, source=rules.source(rule), article=rules.article(rule))


def _refuse(wrong: Sequence[bool], refusal: type[Refusal], **values: object) -> None:
    """Raise the refusal, with one entry per person it concerns."""
    if any(wrong):
        errors = [
            FieldError(f"person_ids.{place}", refusal.ja.format_map(_Blank(values)), refusal.en)
            for place, is_wrong in enumerate(wrong)
            if is_wrong
        ]
        raise refusal(errors=errors, **values)  # type: ignore[arg-type]  # values carry the article by its own name


class _Blank(dict[str, object]):
    """Formats a sentence whose other values do not matter in the list of fields."""

    def __missing__(self, key: str) -> str:
        return ""

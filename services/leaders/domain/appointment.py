"""An appointment: who is a section's leader, from when to when, by which decision. Ends, corrections, deputies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal
from uuid import UUID

from chassis.calendar import fiscal_year_ends_on, fiscal_year_starts_on
from services.leaders.domain.refusals import (
    AlreadyHasDeputy,
    DecidedInFuture,
    HasLeft,
    NoDeputy,
    NothingCorrected,
    NotInOffice,
    NotOfSection,
    OwnDeputy,
    PeriodInvalid,
)
from services.leaders.domain.rules import DEPUTY_WHEN_ABSENT, TownRules
from services.leaders.domain.wording import written

EndReason = Literal["term", "successor", "transfer", "left", "resigned", "section_closed", "withdrawn"]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Decision:
    """The town's own act (決裁). Who typed it in, and when, stands apart from it."""

    decided_on: date | None = None
    decided_by_post: str | None = None
    document_number: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Not a leader any more from ``effective_from``. ``cause``: id of the transfer behind it, so it can be undone."""

    effective_from: date
    reason: EndReason
    cause: UUID | None = None


@dataclass(frozen=True, slots=True)
class Deputy:
    """Stands in for the leader, both days inclusive (open end: ``None``)."""

    deputy_id: UUID
    person_id: UUID
    from_on: date
    until_on: date | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """A period record. ``ends_on`` is the term's last day as decided; what happened to it stands beside it."""

    appointment_id: UUID
    section_call_id: UUID
    section_id: UUID
    person_id: UUID
    fiscal_year: int
    starts_on: date
    ends_on: date
    word: str
    decision: Decision = Decision()
    serves_on_from: date | None = None
    end: End | None = None
    planned_end: End | None = None
    withdrawn: bool = False
    deputy: Deputy | None = None
    version: int = 1

    @property
    def is_over(self) -> bool:
        """Whether the end, or the withdrawal, has been recorded."""
        return self.withdrawn or self.end is not None

    @property
    def last_day(self) -> date | None:
        """The last day in office as known today; ``None`` while serving on."""
        if self.end is not None:
            return self.end.effective_from - _DAY
        return None if self.serves_on_from is not None else self.ends_on

    def in_office(self, day: date) -> bool:
        """Whether the person is the section's leader on that day."""
        return not self.withdrawn and self.starts_on <= day and (self.last_day is None or day <= self.last_day)


def end(appointment: Appointment, wanted: End, today: date) -> Appointment:
    """The appointment with its end, recorded when its day has come, else planned for that day.

    An end before the first day takes effect on the first day: the term then holds no day at all.

    Raises:
        NotInOffice: it is over already.
    """
    if appointment.is_over:
        raise NotInOffice
    due = replace(wanted, effective_from=max(wanted.effective_from, appointment.starts_on))
    if due.effective_from > today:
        return replace(appointment, planned_end=due)
    return replace(appointment, end=due, planned_end=None, version=appointment.version + 1)


def fall_due(appointment: Appointment, today: date, *, serves_on: bool, has_successor: bool) -> Appointment:
    """What the day brings: a planned end, the end of the term, or serving on. Nothing due: the same appointment."""
    if appointment.is_over:
        return appointment
    plan = appointment.planned_end
    if plan is not None and plan.effective_from <= today:
        return end(appointment, plan, today)
    if appointment.serves_on_from is not None or today <= appointment.ends_on:
        return appointment
    day_after = appointment.ends_on + _DAY
    if serves_on and not has_successor:
        return replace(appointment, serves_on_from=day_after, version=appointment.version + 1)
    return end(appointment, End(day_after, "term"), today)


def due_on(appointment: Appointment) -> date | None:
    """The next day on which something falls due; ``None`` when over or serving on without a planned end."""
    if appointment.is_over:
        return None
    term = None if appointment.serves_on_from is not None else appointment.ends_on + _DAY
    plan = appointment.planned_end.effective_from if appointment.planned_end is not None else None
    return min((day for day in (term, plan) if day is not None), default=None)


@dataclass(frozen=True, slots=True)
class Correction:
    """The right values; ``None`` leaves a value as it is."""

    starts_on: date | None = None
    ends_on: date | None = None
    decided_on: date | None = None
    decided_by_post: str | None = None
    document_number: str | None = None
    withdrawn: bool = False


def correct(appointment: Appointment, right: Correction, today: date) -> Appointment:
    """The appointment with its right values. A last day that has passed is its end; one to come revives it.

    Raises:
        NotInOffice: it was withdrawn.
        DecidedInFuture: a decision is recorded after it was made.
        PeriodInvalid: it would end before it begins, or lie outside its fiscal year (serving on: outside the past).
        NothingCorrected: the values are what is recorded.
    """
    if appointment.withdrawn:
        raise NotInOffice
    if right.decided_on is not None and right.decided_on > today:
        raise DecidedInFuture
    _refuse_days_outside(appointment, right, today)
    starts_on = right.starts_on or appointment.starts_on
    mended = replace(
        appointment,
        starts_on=starts_on,
        decision=Decision(
            right.decided_on or appointment.decision.decided_on,
            right.decided_by_post or appointment.decision.decided_by_post,
            right.document_number or appointment.decision.document_number,
        ),
        withdrawn=right.withdrawn,
    )
    if right.ends_on is not None and right.ends_on != appointment.last_day:
        mended = _last_day_corrected(mended, right.ends_on, today)
    last_day = mended.last_day
    if not right.withdrawn and last_day is not None and last_day < starts_on:
        raise PeriodInvalid(earliest=written(starts_on), latest=written(last_day))
    if mended == appointment:
        raise NothingCorrected
    return replace(mended, version=appointment.version + 1)


def _refuse_days_outside(appointment: Appointment, right: Correction, today: date) -> None:
    earliest = fiscal_year_starts_on(appointment.fiscal_year)
    latest = fiscal_year_ends_on(appointment.fiscal_year)
    wrong_start = right.starts_on is not None and not earliest <= right.starts_on <= latest
    wrong_end = right.ends_on is not None and right.ends_on > max(latest, today)
    if wrong_start or wrong_end:
        raise PeriodInvalid(earliest=written(earliest), latest=written(latest))


def _last_day_corrected(appointment: Appointment, last_day: date, today: date) -> Appointment:
    if last_day >= today:
        return replace(appointment, ends_on=last_day, end=None, planned_end=None, serves_on_from=None)
    reason = appointment.end.reason if appointment.end is not None else "term"
    return replace(appointment, end=End(last_day + _DAY, reason), planned_end=None)


def transfer_reverted(appointment: Appointment, transfer_id: UUID) -> Appointment:
    """The appointment as if that transfer had not been: neither ended nor about to end because of it."""
    if appointment.planned_end is not None and appointment.planned_end.cause == transfer_id:
        appointment = replace(appointment, planned_end=None)
    if appointment.end is not None and appointment.end.cause == transfer_id:
        appointment = replace(appointment, end=None, version=appointment.version + 1)
    return appointment


@dataclass(frozen=True, slots=True)
class Colleague:
    """A person who might stand in, with what the service knows of them."""

    person_id: UUID
    of_section: bool
    has_left: bool = False


def name_deputy(
    appointment: Appointment, colleague: Colleague, deputy: Deputy, today: date, rules: TownRules
) -> Appointment:
    """The appointment with a deputy.

    Raises:
        NotInOffice, OwnDeputy, HasLeft, NotOfSection, AlreadyHasDeputy: see their sentences.
        PeriodInvalid: outside the term, or over already.
    """
    if appointment.is_over:
        raise NotInOffice
    if colleague.person_id == appointment.person_id:
        raise OwnDeputy
    if colleague.has_left:
        raise HasLeft
    if not colleague.of_section:
        raise NotOfSection(source="")
    rule = DEPUTY_WHEN_ABSENT
    if appointment.deputy is not None:
        raise AlreadyHasDeputy(source=rules.source(rule), article=rules.article(rule))
    last_day = appointment.last_day or date.max
    until_on = deputy.until_on or last_day
    if not appointment.starts_on <= deputy.from_on <= until_on <= last_day or until_on < today:
        raise PeriodInvalid(
            earliest=written(appointment.starts_on),
            latest=written(last_day) if appointment.last_day else "後任が決まる日",
        )
    return replace(appointment, deputy=deputy, version=appointment.version + 1)


def end_deputy(appointment: Appointment) -> Appointment:
    """The appointment without its deputy.

    Raises:
        NoDeputy: there is none.
    """
    if appointment.deputy is None:
        raise NoDeputy
    return replace(appointment, deputy=None, version=appointment.version + 1)


def deputy_is_over(deputy: Deputy, today: date) -> bool:
    """Whether the deputy's last day has passed."""
    return deputy.until_on is not None and deputy.until_on < today

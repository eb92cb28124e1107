"""Transfers, absences and departures of one person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from chassis.refusals import NotFound, Refusal
from services.directory.domain.people import BeforePresentPosting, Change, Person, PersonHasLeft, Posting, in_order

TransferState = Literal["planned", "effective", "reverted", "cancelled"]


class SameSection(Refusal):
    """A transfer leads to another section."""

    code = "directory.same_section"
    status = 422
    ja = "今と同じ所属です。異動先を選び直してください。"
    en = "The person belongs to this section already. Choose another one."


class TransferUnknown(NotFound):
    """No such transfer in the municipality."""

    code = "directory.transfer_unknown"
    ja = "この異動は見つかりません。一覧から選び直してください。"
    en = "There is no such transfer. Choose one from GET /transfers."


class TransferClosed(Refusal):
    """A transfer is taken back once."""

    code = "directory.transfer_closed"
    ja = "この異動はすでに取り消されています。"
    en = "This transfer was taken back already."


class NotTheLastTransfer(Refusal):
    """Only the newest posting of a person can be taken back."""

    code = "directory.not_the_last_transfer"
    ja = "このあとに別の変更があります。あとの異動から順に取り消すか、正しい所属への異動を登録してください。"
    en = "Something later was recorded. Take back later transfers first, or transfer to the right section."


class AbsenceUnknown(NotFound):
    """No such absence in the municipality."""

    code = "directory.absence_unknown"
    ja = "この不在は見つかりません。一覧から選び直してください。"
    en = "There is no such absence. Choose one from GET /absences."


class AbsenceWithdrawn(Refusal):
    """An absence is withdrawn once."""

    code = "directory.absence_withdrawn"
    ja = "この不在はすでに取り消されています。"
    en = "This absence was withdrawn already."


class PeriodReversed(Refusal):
    """A period ends on or after the day it starts."""

    code = "directory.period_reversed"
    status = 422
    ja = "終わりの日を、始まりの日以降にしてください。"
    en = "until_on must not be before from_on."


class DepartureUnknown(NotFound):
    """No such departure in the municipality."""

    code = "directory.departure_unknown"
    ja = "この退職は見つかりません。一覧から選び直してください。"
    en = "There is no such departure."


class DepartureClosed(Refusal):
    """A departure is withdrawn before its day."""

    code = "directory.departure_closed"
    ja = "この退職はすでに済んでいるか、取り消されています。"
    en = "This departure has taken effect or was withdrawn already."


class DepartureRecorded(Refusal):
    """One planned departure a person."""

    code = "directory.departure_recorded"
    ja = "この職員の退職はすでに登録されています。日を変えるときは、先に取り消してください。"
    en = "A departure of this person is planned already; withdraw it first."


@dataclass(frozen=True, slots=True)
class Transfer:
    """A person goes to another section on a day. Until then it is known to 総務課 only."""

    transfer_id: UUID
    person_id: UUID
    from_section_id: UUID
    to_section_id: UUID
    post: str
    concurrent: tuple[UUID, ...]
    effective_from: date
    state: TransferState = "planned"


@dataclass(frozen=True, slots=True)
class Absence:
    """Somebody is away from ``from_on`` to ``until_on``, both inclusive. Nobody records why."""

    absence_id: UUID
    person_id: UUID
    from_on: date
    until_on: date | None
    withdrawn: bool = False


def away(from_on: date, until_on: date | None) -> str:
    """``7月1日から不在``, as colleagues read it; both days inclusive."""
    until = f"{until_on.month}月{until_on.day}日まで" if until_on is not None else ""
    return f"{from_on.month}月{from_on.day}日から{until}不在"


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody leaves; ``effective_from`` is the day after the last one."""

    departure_id: UUID
    person_id: UUID
    effective_from: date
    state: Literal["planned", "effective", "withdrawn"] = "planned"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The posting before the present one."""

    posting: Posting
    from_on: date


def require_in_service(person: Person, today: date) -> Person:
    """The person, who has not left.

    Raises:
        PersonHasLeft: they have.
    """
    if person.left(today):
        raise PersonHasLeft
    return person


def check_transfer(person: Person, transfer: Transfer, today: date) -> None:
    """Refuse a transfer that cannot take effect.

    Raises:
        PersonHasLeft, SameSection, BeforePresentPosting: see there.
    """
    require_in_service(person, today)
    if transfer.to_section_id == person.posting.section_id:
        raise SameSection
    if transfer.effective_from < person.posted_on:
        raise BeforePresentPosting(posted_on=person.posted_on.isoformat())


def concurrent_after(person: Person, to_section_id: UUID, wanted: list[UUID] | None) -> tuple[UUID, ...]:
    """Sections of 兼務 after a transfer: those wanted, else those kept; never the new own one."""
    kept = person.posting.concurrent if wanted is None else wanted
    return in_order(section_id for section_id in kept if section_id != to_section_id)


def take_effect(person: Person, transfer: Transfer) -> Change:
    """The person, moved."""
    posting = replace(
        person.posting, section_id=transfer.to_section_id, post=transfer.post, concurrent=transfer.concurrent
    )
    return _moved(person, "transferred", posting, transfer.effective_from, transfer.transfer_id)


def revert(person: Person, transfer: Transfer, earlier: Earlier) -> Change:
    """The person as if the transfer had not been."""
    change = _moved(person, "reverted", earlier.posting, transfer.effective_from, transfer.transfer_id)
    return replace(change, after=replace(change.after, posted_on=earlier.from_on))


def _moved(
    person: Person, kind: Literal["transferred", "reverted"], posting: Posting, on: date, transfer_id: UUID
) -> Change:
    after = replace(
        person, posting=posting, posted_on=on, version=person.version + 1, state_version=person.state_version + 1
    )
    return Change(kind, person, after, on, transfer_id=transfer_id)


def leave(person: Person, effective_from: date) -> Change:
    """The person, gone from ``effective_from``.

    Raises:
        BeforePresentPosting: the day lies before the present posting.
    """
    if effective_from < person.posted_on:
        raise BeforePresentPosting(posted_on=person.posted_on.isoformat())
    after = replace(person, left_on=effective_from, version=person.version + 1, state_version=person.state_version + 1)
    return Change("left", person, after, effective_from)


def check_period(from_on: date, until_on: date | None) -> None:
    """Refuse a period that ends before it starts.

    Raises:
        PeriodReversed: it does.
    """
    if until_on is not None and until_on < from_on:
        raise PeriodReversed

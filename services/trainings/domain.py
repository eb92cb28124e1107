"""A completion: one person, one programme, one day; recorded once, revoked at most once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from chassis.refusals import Problems, Refusal

Source = Literal["attendance", "external", "report"]
"""How the town knows: 出席 at its own session, an outside provider's record, or a report handed in."""


class AlreadyRevoked(Refusal):
    """A completion is revoked once."""

    code = "trainings.already_revoked"
    ja = "この修了の記録は、すでに取り消されています。"
    en = "This completion is revoked already."


class AlreadyCompleted(Refusal):
    """The same person completes the same programme once a day."""

    code = "trainings.already_completed"
    ja = "同じ研修・同じ日の修了が、すでに記録されています。人を選び直してください。"
    en = "A completion of this programme on this day is recorded already; leave those people out."


class TitleTaken(Refusal):
    """Two programmes of one name could not be told apart."""

    code = "trainings.title_taken"
    ja = "同じ名前の研修があります。年度や回を名前に入れてください。"
    en = "There is a programme of this title; choose another one."


class CompletionInvalid(Refusal):
    """Something of the record cannot be; ``errors`` says what."""

    code = "trainings.completion_invalid"
    status = 422
    ja = "修了を記録できません。項目ごとの説明を見てください。"
    en = "The completion cannot be recorded; see errors."


@dataclass(frozen=True, slots=True)
class Programme:
    """What can be completed."""

    programme_id: UUID
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class Completion:
    """``version`` 1: recorded, 2: revoked."""

    completion_id: UUID
    programme_id: UUID
    person_id: UUID
    completed_on: date
    source: Source
    revoked_at: datetime | None = None
    version: int = 1


def check_completion(
    people: Iterable[UUID], *, completed_on: date, today: date, known: Mapping[UUID, bool], done: AbstractSet[UUID]
) -> None:
    """Whether these people can have completed a programme on that day.

    ``known``: person → has left; ``done``: people with a completion of that programme and day.

    Raises:
        CompletionInvalid: a day to come, or somebody who is not known or has left.
        AlreadyCompleted: somebody has it already.
    """
    problems = Problems()
    if completed_on > today:
        problems.add("completed_on", ja="今日より後の日は選べません。", en="lies in the future")
    for place, person in enumerate(people):
        if person not in known:
            problems.add(f"person_ids.{place}", ja="名簿にない人です。選び直してください。", en="is not on the roster")
        elif known[person]:
            problems.add(f"person_ids.{place}", ja="退職した人です。選び直してください。", en="has left the town")
    problems.refuse_any(CompletionInvalid)
    if done:
        raise AlreadyCompleted


def revoke(completion: Completion, at: datetime) -> Completion:
    """The completion, revoked: it never was.

    Raises:
        AlreadyRevoked: it is already.
    """
    if completion.revoked_at is not None:
        raise AlreadyRevoked
    return replace(completion, revoked_at=at, version=completion.version + 1)

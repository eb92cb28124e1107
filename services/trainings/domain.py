"""What may be recorded about trainings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from chassis.refusals import FieldError, NotFound, Refusal

Source = Literal["attendance", "external", "report"]
"""How the town knows: a list of attendance, a certificate from outside, the person's own report."""


class ProgrammeUnknown(NotFound):
    """There is no such programme in the municipality."""

    code = "trainings.programme_unknown"
    ja = "この研修は見つかりません。一覧から選び直してください。"
    en = "There is no such programme. Choose one from GET /programmes."


class PersonUnknown(Refusal):
    """Only people whom directory has told about can complete a training."""

    code = "trainings.person_unknown"
    status = 422
    ja = "名簿にない人が含まれています。一覧から選び直してください。"
    en = "Somebody is not known to this service; choose people from directory."


class NamedTwice(Refusal):
    """Each person once per recording."""

    code = "trainings.named_twice"
    status = 422
    ja = "同じ人が2回選ばれています。重なりを外してください。"
    en = "The same person is named twice; name each once."


class AlreadyCompleted(Refusal):
    """A person completes a programme once a day."""

    code = "trainings.already_completed"
    ja = "同じ研修・同じ日の修了が、もう記録されている人がいます。その人を外してください。"
    en = "Somebody's completion of that programme on that day is recorded already; leave them out."


class CompletedInFuture(Refusal):
    """A completion is recorded after it happened."""

    code = "trainings.completed_in_future"
    status = 422
    ja = "修了日が今日より後です。研修が終わってから記録してください。"
    en = "completed_on lies in the future; record a completion after it happened."


class AlreadyRevoked(Refusal):
    """A completion is revoked once."""

    code = "trainings.already_revoked"
    ja = "この修了の記録は、もう取り消されています。画面を開き直してください。"
    en = "This completion was revoked already."


@dataclass(frozen=True, slots=True)
class Completion:
    """A person completed a programme on a day. Revoked: it never was."""

    completion_id: UUID
    programme_id: UUID
    programme_title: str
    person_id: UUID
    completed_on: date
    source: Source
    revoked: bool = False
    version: int = 1


def may_be_recorded(
    people: Sequence[UUID], known: AbstractSet[UUID], recorded: AbstractSet[UUID], completed_on: date, today: date
) -> None:
    """Whether these people's completions of one programme on one day may be recorded, all of them.

    ``known``: of whom directory has told; ``recorded``: whose completion on that day stands already.

    Raises:
        CompletedInFuture, NamedTwice, PersonUnknown, AlreadyCompleted: one entry per person concerned.
    """
    if completed_on > today:
        raise CompletedInFuture
    _refuse([people.index(person) != place for place, person in enumerate(people)], NamedTwice)
    _refuse([person not in known for person in people], PersonUnknown)
    _refuse([person in recorded for person in people], AlreadyCompleted)


def revoke(completion: Completion) -> Completion:
    """The completion, taken back by a new fact.

    Raises:
        AlreadyRevoked: it was taken back before.
    """
    if completion.revoked:
        raise AlreadyRevoked
    return replace(completion, revoked=True, version=completion.version + 1)


def _refuse(wrong: Sequence[bool], refusal: type[Refusal]) -> None:
    places = [place for place, is_wrong in enumerate(wrong) if is_wrong]
    if places:
        raise refusal(errors=[FieldError(f"person_ids.{place}", refusal.ja, refusal.en) for place in places])

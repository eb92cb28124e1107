"""Facts published by ``trainings``."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from taiwa_contracts import topics
from taiwa_contracts.event import Day, Event, PersonId, Text


class _CompletionFact(Event, abstract=True):
    TOPIC: ClassVar[str] = topics.TRAININGS.name
    AGGREGATE: ClassVar[str] = "completion"
    KEY: ClassVar[tuple[str, ...]] = ("completion_id",)
    completion_id: UUID
    programme_id: UUID
    programme_title: Text
    person_id: PersonId


class TrainingCompletedV1(_CompletionFact):
    """A person completed a programme on ``effective_from``; ``source`` says how the town knows."""

    TYPE: ClassVar[str] = "taiwa.trainings.training-completed.v1"
    effective_from: Day
    source: Literal["attendance", "external", "report"]


class TrainingCompletionRevokedV1(_CompletionFact):
    """The completion was recorded wrongly: it never was."""

    TYPE: ClassVar[str] = "taiwa.trainings.training-completion-revoked.v1"
    effective_from: Day


EVENTS: tuple[type[Event], ...] = (TrainingCompletedV1, TrainingCompletionRevokedV1)

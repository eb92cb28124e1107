"""Facts published by ``consultations``. Texts travel apart, on the internal topic ``consultations.texts``."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from taiwa_contracts import topics
from taiwa_contracts.event import Event, Instant, PersonId, SectionId, State, Text

Desk = Literal["hr", "it_policy"]
"""Who answers: 総務課 (``hr``) or 総合政策課 (``it_policy``). The adviser's desk comes later."""


class _ConsultationFact(Event, abstract=True):
    TOPIC: ClassVar[str] = topics.CONSULTATIONS.name
    AGGREGATE: ClassVar[str] = "consultation"
    KEY: ClassVar[tuple[str, ...]] = ("consultation_id",)
    consultation_id: UUID
    number: Text
    title: Text
    requester_person_id: PersonId


class ConsultationOpenedV1(_ConsultationFact):
    """Somebody asked; the category routed the case to ``desk``, which should answer by ``answer_due_at``."""

    TYPE: ClassVar[str] = "taiwa.consultations.consultation-opened.v1"
    section_id: SectionId
    category: Text
    desk: Desk
    answer_due_at: Instant


class ConsultationAssignedV1(_ConsultationFact):
    """The case has an owner. ``by_person_id``: who gave it to them, the owner themselves when they took it."""

    TYPE: ClassVar[str] = "taiwa.consultations.consultation-assigned.v1"
    desk: Desk
    assignee_person_id: PersonId
    by_person_id: PersonId | None = None


class ConsultationAnsweredV1(_ConsultationFact):
    """A reply was sent. ``answer``: it answers; ``question``: the desk asks back; ``reply``: the requester's."""

    TYPE: ClassVar[str] = "taiwa.consultations.consultation-answered.v1"
    entry_id: UUID
    kind: Literal["answer", "question", "reply"]
    by_person_id: PersonId
    desk: Desk
    assignee_person_id: PersonId | None


class ConsultationResolvedV1(_ConsultationFact):
    """The requester, or the desk, closed the case."""

    TYPE: ClassVar[str] = "taiwa.consultations.consultation-resolved.v1"
    by_person_id: PersonId
    assignee_person_id: PersonId | None


class ConsultationReopenedV1(_ConsultationFact):
    """A resolved case is open again."""

    TYPE: ClassVar[str] = "taiwa.consultations.consultation-reopened.v1"
    by_person_id: PersonId
    desk: Desk
    assignee_person_id: PersonId | None


class ConsultationTextV1(State):
    """The text of one entry of a case (question, answer, reply), for services that must show or send it."""

    TYPE: ClassVar[str] = "taiwa.consultations.text-state.v1"
    TOPIC: ClassVar[str] = topics.TEXTS.name
    AGGREGATE: ClassVar[str] = "text"
    KEY: ClassVar[tuple[str, ...]] = ("entry_id",)
    entry_id: UUID
    consultation_id: UUID
    body: str


EVENTS: tuple[type[Event], ...] = (
    ConsultationOpenedV1,
    ConsultationAssignedV1,
    ConsultationAnsweredV1,
    ConsultationResolvedV1,
    ConsultationReopenedV1,
    ConsultationTextV1,
)

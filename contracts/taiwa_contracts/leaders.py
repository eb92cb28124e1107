"""Facts published by ``leaders``: the yearly call, appointments, deputies, coverage."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from taiwa_contracts import topics
from taiwa_contracts.event import Day, Event, FiscalYear, PersonId, SectionId, Text

EndReason = Literal["term", "successor", "transfer", "left", "resigned", "section_closed", "withdrawn"]


class _LeadersFact(Event, abstract=True):
    TOPIC: ClassVar[str] = topics.LEADERS.name
    AGGREGATE: ClassVar[str] = "section-call"
    KEY: ClassVar[tuple[str, ...]] = ()


class _SectionCallFact(_LeadersFact, abstract=True):
    AGGREGATE: ClassVar[str] = "section-call"
    KEY: ClassVar[tuple[str, ...]] = ("section_call_id",)
    section_call_id: UUID
    fiscal_year: FiscalYear
    section_id: SectionId


class NominationRequestedV1(_SectionCallFact):
    """A section was asked to name leaders for a fiscal year by ``closes_on`` (inclusive). No head: post vacant."""

    TYPE: ClassVar[str] = "taiwa.leaders.nomination-requested.v1"
    head_person_id: PersonId | None
    closes_on: Day


class LeaderNominatedV1(_SectionCallFact):
    """A section named a person; nothing is decided yet."""

    TYPE: ClassVar[str] = "taiwa.leaders.leader-nominated.v1"
    nomination_id: UUID
    person_id: PersonId
    nominated_by: PersonId


class NominationRejectedV1(_SectionCallFact):
    """The answer of a section was sent back; the section is asked again. The reason is shown by the portal only."""

    TYPE: ClassVar[str] = "taiwa.leaders.nomination-rejected.v1"
    nomination_ids: list[UUID]
    head_person_id: PersonId | None
    closes_on: Day


class _AppointmentFact(_LeadersFact, abstract=True):
    AGGREGATE: ClassVar[str] = "appointment"
    KEY: ClassVar[tuple[str, ...]] = ("appointment_id",)
    appointment_id: UUID
    person_id: PersonId
    section_id: SectionId


class LeaderAppointedV1(_AppointmentFact):
    """A person is a section's leader from ``effective_from`` to ``ends_on``, both inclusive.

    The day of the decision, the post that decided and the document's number are the town's own; they are ``None``
    where the town has not recorded them. ``word`` is the town's word for it (選任, 任命, 委嘱).
    """

    TYPE: ClassVar[str] = "taiwa.leaders.leader-appointed.v1"
    fiscal_year: FiscalYear
    effective_from: Day
    ends_on: Day
    word: Text
    decided_on: Day | None = None
    decided_by_post: Text | None = None
    document_number: Text | None = None


class AppointmentCorrectedV1(_AppointmentFact):
    """An appointment was recorded wrongly; these are its right values. ``withdrawn``: it never was."""

    TYPE: ClassVar[str] = "taiwa.leaders.appointment-corrected.v1"
    effective_from: Day
    ends_on: Day
    decided_on: Day | None = None
    decided_by_post: Text | None = None
    document_number: Text | None = None
    withdrawn: bool = False


class LeaderTermExtendedV1(_AppointmentFact):
    """The term ended without a successor: the leader serves on from ``effective_from`` until one is chosen."""

    TYPE: ClassVar[str] = "taiwa.leaders.leader-term-extended.v1"
    effective_from: Day


class LeaderTermEndedV1(_AppointmentFact):
    """The person is no longer the section's leader from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.leaders.leader-term-ended.v1"
    effective_from: Day
    reason: EndReason


class DeputyNamedV1(_AppointmentFact):
    """A deputy stands in for the leader from ``effective_from`` to ``until_on`` (open end: ``None``)."""

    TYPE: ClassVar[str] = "taiwa.leaders.deputy-named.v1"
    deputy_person_id: PersonId
    effective_from: Day
    until_on: Day | None = None


class DeputyEndedV1(_AppointmentFact):
    """The deputy no longer stands in from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.leaders.deputy-ended.v1"
    deputy_person_id: PersonId
    effective_from: Day


class _CoverageFact(_LeadersFact, abstract=True):
    AGGREGATE: ClassVar[str] = "coverage"
    KEY: ClassVar[tuple[str, ...]] = ("section_id",)
    section_id: SectionId
    effective_from: Day


class CoverageLostV1(_CoverageFact):
    """The section has fewer leaders than its town's rule asks for, from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.leaders.coverage-lost.v1"


class CoverageRestoredV1(_CoverageFact):
    """The section has enough leaders again, from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.leaders.coverage-restored.v1"


EVENTS: tuple[type[Event], ...] = (
    NominationRequestedV1,
    LeaderNominatedV1,
    NominationRejectedV1,
    LeaderAppointedV1,
    AppointmentCorrectedV1,
    LeaderTermExtendedV1,
    LeaderTermEndedV1,
    DeputyNamedV1,
    DeputyEndedV1,
    CoverageLostV1,
    CoverageRestoredV1,
)

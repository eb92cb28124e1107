"""Facts published by ``directory``: the town, its sections, people, calendar and rules."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from taiwa_contracts import topics
from taiwa_contracts.event import Day, Event, FiscalYear, Instant, PersonId, SectionId, State, Text

Role = Literal["staff", "leader", "section_head", "it_policy", "hr", "finance", "adviser", "executive", "admin"]


class _DirectoryFact(Event, abstract=True):
    TOPIC: ClassVar[str] = topics.DIRECTORY.name
    AGGREGATE: ClassVar[str] = "municipality"
    KEY: ClassVar[tuple[str, ...]] = ()


class MunicipalityRegisteredV1(_DirectoryFact):
    """A town was entered into this installation."""

    TYPE: ClassVar[str] = "taiwa.directory.municipality-registered.v1"
    AGGREGATE: ClassVar[str] = "municipality"
    KEY: ClassVar[tuple[str, ...]] = ("code",)
    code: str
    name: Text
    kana: Text
    fictional: bool = False


class FiscalYearOpenedV1(_DirectoryFact):
    """The town opened a fiscal year (1 April to 31 March)."""

    TYPE: ClassVar[str] = "taiwa.directory.fiscal-year-opened.v1"
    AGGREGATE: ClassVar[str] = "fiscal-year"
    KEY: ClassVar[tuple[str, ...]] = ("fiscal_year",)
    fiscal_year: FiscalYear
    starts_on: Day
    ends_on: Day


class _SectionFact(_DirectoryFact, abstract=True):
    AGGREGATE: ClassVar[str] = "section"
    KEY: ClassVar[tuple[str, ...]] = ("section_id",)
    section_id: SectionId
    effective_from: Day


class SectionCreatedV1(_SectionFact):
    """A section exists from ``effective_from``; ``kind`` is 課, 室, 出先, 学校, 行政委員会 or 議会事務局."""

    TYPE: ClassVar[str] = "taiwa.directory.section-created.v1"
    code: Text
    name: Text
    kind: Text
    appointing_authority: Text
    display_order: int


class SectionRenamedV1(_SectionFact):
    """A section bears a new name from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.directory.section-renamed.v1"
    name: Text


class SectionChangedV1(_SectionFact):
    """Kind, 任命権者 or place in the town's order is another from ``effective_from``; all three are told."""

    TYPE: ClassVar[str] = "taiwa.directory.section-changed.v1"
    kind: Text
    appointing_authority: Text
    display_order: int


class SectionHeadAssignedV1(_SectionFact):
    """Who heads the section from ``effective_from``; ``None`` means the post is vacant."""

    TYPE: ClassVar[str] = "taiwa.directory.section-head-assigned.v1"
    head_person_id: PersonId | None
    head_post: Text


class SectionClosedV1(_SectionFact):
    """The section no longer exists from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.directory.section-closed.v1"


class _StaffFact(_DirectoryFact, abstract=True):
    AGGREGATE: ClassVar[str] = "person"
    KEY: ClassVar[tuple[str, ...]] = ("person_id",)
    person_id: PersonId


class StaffJoinedV1(_StaffFact):
    """A person works for the town from ``effective_from``. ``full_time`` is 常勤 (the denominator of shares)."""

    TYPE: ClassVar[str] = "taiwa.directory.staff-joined.v1"
    section_id: SectionId
    concurrent_section_ids: list[SectionId] = Field(default_factory=list)
    post: Text
    full_time: bool
    effective_from: Day


class StaffChangedV1(_StaffFact):
    """Post, 兼務 or working pattern of a person changed; the section did not."""

    TYPE: ClassVar[str] = "taiwa.directory.staff-changed.v1"
    section_id: SectionId
    concurrent_section_ids: list[SectionId] = Field(default_factory=list)
    post: Text
    full_time: bool
    effective_from: Day


class StaffTransferredV1(_StaffFact):
    """A person belongs to ``to_section_id`` from ``effective_from`` (人事異動)."""

    TYPE: ClassVar[str] = "taiwa.directory.staff-transferred.v1"
    transfer_id: UUID
    from_section_id: SectionId
    to_section_id: SectionId
    concurrent_section_ids: list[SectionId] = Field(default_factory=list)
    post: Text
    full_time: bool
    effective_from: Day


class TransferRevertedV1(_StaffFact):
    """The transfer was a mistake: the person belongs to ``section_id`` as if it had not been."""

    TYPE: ClassVar[str] = "taiwa.directory.transfer-reverted.v1"
    transfer_id: UUID
    section_id: SectionId
    concurrent_section_ids: list[SectionId] = Field(default_factory=list)
    post: Text
    full_time: bool
    effective_from: Day


class StaffLeftV1(_StaffFact):
    """The person no longer works for the town from ``effective_from`` (the day after the last one)."""

    TYPE: ClassVar[str] = "taiwa.directory.staff-left.v1"
    effective_from: Day


class AbsenceRecordedV1(_StaffFact):
    """The person is away from ``from_on`` to ``until_on`` inclusive (open end: ``None``). The reason never travels.

    The newest record of an ``absence_id`` holds; ``withdrawn`` takes it back.
    """

    TYPE: ClassVar[str] = "taiwa.directory.absence-recorded.v1"
    absence_id: UUID
    from_on: Day
    until_on: Day | None
    withdrawn: bool = False


class CivilClockSetV1(_DirectoryFact):
    """The simulated time of the town jumped to ``civil_at`` when the machine showed ``machine_at``.

    Never published in production. It concerns the whole installation: its municipality is ``000000``.
    """

    TYPE: ClassVar[str] = "taiwa.directory.civil-clock-set.v1"
    AGGREGATE: ClassVar[str] = "civil-clock"
    KEY: ClassVar[tuple[str, ...]] = ()
    civil_at: Instant
    machine_at: Instant


class CalendarChangedV1(_DirectoryFact):
    """Closed days (閉庁日: weekends, holidays, 29 December to 3 January) and office hours of a fiscal year."""

    TYPE: ClassVar[str] = "taiwa.directory.calendar-changed.v1"
    AGGREGATE: ClassVar[str] = "calendar"
    KEY: ClassVar[tuple[str, ...]] = ("fiscal_year",)
    fiscal_year: FiscalYear
    closed_days: list[Day]
    opens_at: str
    closes_at: str


class RuleChangedV1(_DirectoryFact):
    """A rule of the town has ``value`` from ``effective_from``, by ``article`` (``None``: the town's own setting)."""

    TYPE: ClassVar[str] = "taiwa.directory.rule-changed.v1"
    AGGREGATE: ClassVar[str] = "rule"
    KEY: ClassVar[tuple[str, ...]] = ("rule",)
    rule: Text
    value: bool | int | str
    article: Text | None = None
    article_text: str | None = None
    fictional: bool = False
    effective_from: Day


class _RoleFact(_DirectoryFact, abstract=True):
    AGGREGATE: ClassVar[str] = "role"
    KEY: ClassVar[tuple[str, ...]] = ("person_id", "role")
    person_id: PersonId
    role: Role
    effective_from: Day


class RoleGrantedV1(_RoleFact):
    """A person holds a role in the product from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.directory.role-granted.v1"


class RoleRevokedV1(_RoleFact):
    """A person no longer holds a role from ``effective_from``."""

    TYPE: ClassVar[str] = "taiwa.directory.role-revoked.v1"


class PersonStateV1(State):
    """Present name, address and place of one person, on the compacted topic ``directory.people``."""

    TYPE: ClassVar[str] = "taiwa.directory.person-state.v1"
    TOPIC: ClassVar[str] = topics.PEOPLE.name
    AGGREGATE: ClassVar[str] = "person"
    KEY: ClassVar[tuple[str, ...]] = ("person_id",)
    person_id: PersonId
    name: Text
    kana: str
    mail: str | None
    section_id: SectionId
    post: Text
    left: bool = False


EVENTS: tuple[type[Event], ...] = (
    MunicipalityRegisteredV1,
    FiscalYearOpenedV1,
    SectionCreatedV1,
    SectionRenamedV1,
    SectionChangedV1,
    SectionHeadAssignedV1,
    SectionClosedV1,
    StaffJoinedV1,
    StaffChangedV1,
    StaffTransferredV1,
    TransferRevertedV1,
    StaffLeftV1,
    AbsenceRecordedV1,
    CivilClockSetV1,
    CalendarChangedV1,
    RuleChangedV1,
    RoleGrantedV1,
    RoleRevokedV1,
    PersonStateV1,
)

"""What the pages read of the services' answers: only the fields that are shown; anything else may come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import Generic, TypeVar

from pydantic import BaseModel

from chassis.http.problems import ProblemArticle
from chassis.http.work_items import WorkItem
from services.portal.gateway import NAMES, Part, Services, part

T = TypeVar("T")

WORKING = ("leaders", "trainings", "consultations", "notifications", "directory")
"""The services that may want something from a person."""


class Listed(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None


class Member(BaseModel):
    """A person's id and name."""

    person_id: str
    name: str


class Led(BaseModel):
    """A section whose leader somebody is."""

    section_name: str


class CasePerson(BaseModel):
    """Somebody in a consultation."""

    person_id: str
    name: str
    post: str | None = None
    section: str = ""
    leader_of: list[Led] = []


class CaseSummary(BaseModel):
    """A row of a list of consultations."""

    consultation_id: str
    number: str
    title: str
    category_label: str
    desk: str
    desk_label: str
    state: str
    requester: Member
    section_name: str
    assignee: Member | None
    opened_at: datetime
    answer_due_at: datetime | None
    overdue: bool
    mine: bool


class CaseEntry(BaseModel):
    """One entry of a consultation."""

    entry_id: str
    kind: str
    author: CasePerson
    body: str
    written_at: datetime


class CaseClock(BaseModel):
    """Time for the answer, and why it runs or stands."""

    running: bool
    answer_due_at: datetime | None
    overdue: bool
    reason: str
    first_replied_at: datetime | None = None
    first_answered_at: datetime | None = None


class Case(BaseModel):
    """One consultation."""

    consultation_id: str
    number: str
    title: str
    category_label: str
    desk: str
    desk_label: str
    state: str
    requester: CasePerson
    assignee: CasePerson | None
    clock: CaseClock
    opened_at: datetime
    resolved_at: datetime | None = None
    resolved_by: Member | None = None
    entries: list[CaseEntry]
    mine: bool
    may: list[str]
    version: int


class Category(BaseModel):
    """What a consultation can be about."""

    code: str
    label: str
    desk_label: str


class CaseDesk(BaseModel):
    """Who answers."""

    desk: str
    label: str
    people: list[Member]


class KnownLeader(BaseModel):
    """Who leads a section, as consultations knows it."""

    appointment_id: str
    person_id: str
    name: str
    post: str | None
    section_id: str
    section_name: str
    head_name: str | None
    from_on: date
    until_on: date | None


class Notice(BaseModel):
    """One notice in the inbox."""

    id: str
    title: str
    body: str
    created_at: datetime
    read_at: datetime | None
    target: NoticeTarget | None = None


class NoticeTarget(BaseModel):
    """What a notice is about."""

    kind: str
    id: str


class Head(BaseModel):
    """A section's head."""

    name: str | None
    post: str | None = None


class Deputy(BaseModel):
    """Who stands in for a leader."""

    name: str | None
    from_on: date
    until_on: date | None


class BoardLeader(BaseModel):
    """A leader or candidate on the coverage board; ``note`` is ready to show."""

    person_id: str
    name: str | None
    post: str | None = None
    appointment_id: str | None = None
    deputy: Deputy | None = None
    note: str = ""


class Decision(BaseModel):
    """A recorded decision."""

    decided_on: date | None
    decided_by_post: str | None = None
    document_number: str | None = None


class Warned(BaseModel):
    """What a rule asks for, ready to show."""

    text: str


class Asked(BaseModel):
    """A time a section was asked; ``reason``: its answer was sent back."""

    requested_at: datetime
    reason: str | None = None


class BoardRow(BaseModel):
    """One section on the coverage board."""

    section_id: str
    section_name: str
    head: Head | None
    section_call_id: str | None
    status: str
    standing: str = ""
    """covered; lost: had enough leaders and has them no more; never: not yet once."""
    late_working_days: int = 0
    leaders: list[BoardLeader]
    answered_on: date | None
    requests: list[Asked]
    decision: Decision | None
    entered_by: str | None
    entered_at: datetime | None
    warning: Warned | None


class Rule(BaseModel):
    """The rule a board is measured by."""

    article: str | None
    text: str | None
    fictional: bool = False


class Board(BaseModel):
    """The coverage board of one fiscal year."""

    fiscal_year: int
    as_of: datetime
    called_on: date | None = None
    closes_on: date | None
    term_ends_on: date
    appointment_word: str = "選任"
    rule: Rule
    closing_article: ProblemArticle | None = None
    rows: list[BoardRow]


class SectionCallSummary(BaseModel):
    """A section's call in a list."""

    section_call_id: str
    section_id: str
    section_name: str
    fiscal_year: int
    state: str
    closes_on: date
    open_until: date


class Nomination(BaseModel):
    """Somebody the section named; ``state``: standing, decided or sent_back."""

    person_id: str
    name: str | None
    post: str | None
    state: str
    nominated_by_name: str | None
    nominated_at: datetime


class Candidate(BaseModel):
    """Somebody who may be named."""

    person_id: str
    name: str | None
    post: str | None
    concurrent: bool = False
    times_served: int = 0
    absence: str | None = None
    nominated: bool = False
    is_leader: bool = False


class SectionCall(SectionCallSummary):
    """One section's call with those who may be named."""

    can_answer: bool
    leaders_per_section: int = 1
    people_article: ProblemArticle | None = None
    closing_article: ProblemArticle | None = None
    nominations: list[Nomination]
    candidates: list[Candidate]
    requests: list[Asked]


class Appointment(BaseModel):
    """One leader's term."""

    appointment_id: str
    section_call_id: str
    fiscal_year: int
    section_id: str
    section_name: str
    person_id: str
    name: str | None
    word: str
    starts_on: date
    ends_on: date | None
    withdrawn: bool = False
    in_office: bool
    decision: Decision
    deputy: Deputy | None
    entered_by_name: str | None = None
    entered_at: datetime | None = None


class Programme(BaseModel):
    """A training programme; the numbers count the leaders in office."""

    programme_id: str
    title: str
    summary: str
    offered_at: datetime
    leaders: int
    leaders_completed: int
    completed_on: date | None


class LeaderToGo(BaseModel):
    """A leader who has not completed a programme."""

    person_id: str
    name: str | None
    section_name: str | None


class ProgrammeDetail(Programme):
    """One programme with those who have not completed it; nobody where the visitor may not know."""

    leaders_to_go: list[LeaderToGo] | None


class Completion(BaseModel):
    """A training somebody completed."""

    completion_id: str
    programme_id: str
    programme_title: str
    person_id: str
    name: str | None
    completed_on: date
    source: str
    recorded_by_name: str | None
    recorded_at: datetime
    revoked_at: datetime | None


class Section(BaseModel):
    """A section; no head: the post is vacant."""

    section_id: str
    code: str
    name: str
    head_post: str
    head_person_id: str | None
    head_name: str | None


class SentNotice(BaseModel):
    """One delivery of a notice."""

    id: str
    person_name: str
    channel: str
    state: str
    reason: str | None
    reason_text: str | None
    created_at: datetime


class Employee(BaseModel):
    """A person of the town."""

    person_id: str
    name: str
    kana: str | None = None
    section_id: str | None = None
    section_name: str | None = None
    post: str | None = None
    absence: str | None = None


class Account(BaseModel):
    """An account."""

    account_id: str
    person_id: str
    login: str
    name: str
    section_name: str | None
    locked: bool
    has_password: bool


class GrantedRole(BaseModel):
    """A role that an administrator gave."""

    person_id: str
    role: str


class Link(BaseModel):
    """A one-time link for a first password."""

    account_id: str
    link_token: str
    expires_at: datetime


class Imported(BaseModel):
    """What an import does or did."""

    created: int
    changed: int
    unchanged: int
    dry_run: bool
    encoding: str = ""


class FiscalYear(BaseModel):
    """An open fiscal year."""

    fiscal_year: int


class SetAside(BaseModel):
    """A dead letter in a list."""

    id: str
    consumer: str
    source: str
    kind: str
    type: str | None
    aggregate: str | None
    version: int | None
    topic: str | None
    partition: int | None
    offset: int | None
    code: str
    error: str
    attempts: int
    written_at: datetime
    retry_at: datetime | None
    held_behind: int


class HeldBehind(BaseModel):
    """A record that waits behind a dead letter."""

    id: str
    type: str | None
    aggregate: str | None
    version: int | None
    written_at: datetime


class LetterHeader(BaseModel):
    """One header of a record."""

    name: str
    value: str | None
    encoding: str


class LetterField(BaseModel):
    """One field of a payload; ``state``: fits, missing, wrong, unknown."""

    name: str
    state: str
    expected: str
    given: str | None
    problem: str


class LetterPayload(BaseModel):
    """A record's bytes, and how they differ from the schema."""

    value: str | None
    encoding: str
    size: int
    schema_type: str | None
    fields: list[LetterField]


class Letter(SetAside):
    """One dead letter, open or closed."""

    closed_at: datetime | None
    outcome: str | None
    headers: list[LetterHeader]
    payload: LetterPayload | None
    held: list[HeldBehind]


class OperatorAct(BaseModel):
    """What somebody did to a dead letter or a stop."""

    act: str
    operator_kind: str
    operator: str
    reason: str
    acted_at: datetime


class ServiceCheck(BaseModel):
    """One thing of a service's process; ``reason`` is for whoever runs the installation."""

    name: str
    ok: bool
    reason: str | None = None


class ServiceStop(BaseModel):
    """Something that stands still."""

    consumer: str
    scope: str
    topic: str | None
    partition: int | None
    cause: str
    since: datetime
    resumable: bool


class LettersCounted(BaseModel):
    """Open dead letters of one kind."""

    kind: str
    letters: int
    since: datetime


class OverdueTimer(BaseModel):
    """A timer over its time."""

    name: str
    aggregate: str
    due_at: datetime


class LateTimer(OverdueTimer):
    """A timer that ran late."""

    ran_at: datetime


class Standing(BaseModel):
    """What stands still in one service."""

    service: str
    as_of: datetime
    checks: list[ServiceCheck]
    stops: list[ServiceStop]
    letters: list[LettersCounted]
    unpublished: int
    unpublished_since: datetime | None
    lag: dict[str, int] | None
    overdue_timers: list[OverdueTimer]


class LateNotice(BaseModel):
    """A notice that came late, or still waits."""

    id: str
    person_id: str
    person_name: str
    channel: str
    title: str
    state: str
    happened_at: datetime
    settled_at: datetime | None
    late_seconds: float
    repeated_at: datetime | None
    reason_text: str | None


class LateNotices(Listed[LateNotice]):
    """A page of them, and what all pages together say."""

    total: int
    people: int
    waiting: int
    repeated: int
    first_happened_at: datetime | None
    last_settled_at: datetime | None


class Acted(BaseModel):
    """How many a command acted on, or would."""

    count: int
    more: bool = False


class PersonCard(BaseModel):
    """A person's name."""

    person_id: str
    name: str


async def standing_of_all(services: Services) -> dict[str, Part[Standing]]:
    """What stands still, service by service; one that does not answer is a part without content."""
    names = sorted(NAMES, key=WORKING.index)
    parts = await asyncio.gather(*(part(services.read(name, "/operations/standing", Standing)) for name in names))
    return dict(zip(names, parts, strict=True))


async def all_work(services: Services) -> tuple[list[WorkItem], list[str]]:
    """What every service wants from the visitor, and the sentences about those that did not say."""
    parts: Sequence[Part[list[WorkItem]]] = await asyncio.gather(
        *(part(services.glance(name, "/work-items", list[WorkItem])) for name in WORKING)
    )
    items = [item for each in parts for item in each.content or ()]
    silent = [NAMES[name] for name, each in zip(WORKING, parts, strict=True) if each.content is None]
    return items, silent


async def absences(services: Services) -> dict[str, str]:
    """Who is away or will be, in colleagues' words (「7月1日から不在」), by person; of those whom the visitor may see.

    Nobody where directory is silent: a page about something else does without.
    """
    asked = part(services.glance("directory", "/people", Listed[Employee], {"away": "true", "limit": 200}))
    told = (await asked).content
    return {each.person_id: each.absence for each in told.items if each.absence} if told else {}


async def known_years(services: Services) -> list[int]:
    """The fiscal years that were opened; none where directory is silent."""
    years = await part(services.glance("directory", "/fiscal-years", Listed[FiscalYear]))
    return [each.fiscal_year for each in years.content.items] if years.content else []

"""What a file of people or sections would change: everything that is wrong at once, else a plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from chassis.refusals import Problems
from services.directory.domain.cells import CODE_LIMIT, Cells
from services.directory.domain.files import Record, Table, refuse_problems
from services.directory.domain.people import (
    EMPLOYMENT_KINDS,
    FULL_TIME,
    BeforePresentPosting,
    Change,
    Person,
    Posting,
    change_person,
    in_order,
    rejoin,
)
from services.directory.domain.sections import DEFAULT_HEAD_POST, KINDS, Section

PEOPLE_COLUMNS = (
    "職員番号", "氏名", "フリガナ", "所属コード", "職", "職員の種類", "常勤", "メール", "兼務所属コード", "採用日",
)  # fmt: skip
SECTION_COLUMNS = ("所属コード", "所属名", "種別", "任命権者", "長の職員番号", "長の職名", "並び順")


@dataclass(frozen=True, slots=True)
class Plan:
    """What an import of people does."""

    changes: tuple[Change, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class SectionChange:
    """A section whose name or attributes differ from what is known; each of the two is a fact, the name first."""

    before: Section
    after: Section

    @property
    def renamed(self) -> bool:
        """Whether the name is another."""
        return self.before.name != self.after.name

    @property
    def altered(self) -> bool:
        """Whether kind, 任命権者 or order is another."""
        return self.before.attributes != self.after.attributes


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """What an import of sections does. ``heads``: section id → number of its head (``None``: vacant) and post.

    ``touched``: what nobody else hears of, a number that the section waits for.
    """

    created: tuple[Section, ...]
    changed: tuple[SectionChange, ...]
    touched: tuple[Section, ...]
    same: tuple[Section, ...]
    heads: Mapping[UUID, tuple[str | None, str]]


def _refuse_duplicates(records: Sequence[Record], column: str, problems: Problems) -> None:
    counted = Counter(record.cells[column] for record in records)
    for record in records:
        value = record.cells[column]
        if value and counted[value] > 1:
            problems.add(
                column,
                ja=f"{value}が{counted[value]}行あります。1行だけにしてください。",
                en=f"{value} stands in {counted[value]} rows",
                row=record.row,
            )


@dataclass(frozen=True, slots=True)
class Known:
    """What the town knows already, for an import of people.

    ``people``: by the number they hold, or held last; ``sections``: by code, those that exist on the day.
    """

    people: Mapping[str, Person]
    sections: Mapping[str, Section]
    effective_from: date
    today: date


def plan_people(table: Table, known: Known, new_id: Callable[[], UUID]) -> Plan:
    """Compare a file of people with what is known.

    Raises:
        ImportRefused: with everything that is wrong, by row and column.
    """
    problems = table.problems
    _refuse_duplicates(table.records, "職員番号", problems)
    planned = [_plan_person(Cells(record, problems), known, new_id) for record in table.records]
    refuse_problems(problems)
    changes = tuple(change for change in planned if change is not None)
    return Plan(changes, len(planned) - len(changes))


def _section(cells: Cells, column: str, code: str, known: Known) -> UUID:
    section = known.sections.get(code)
    if section is None:
        if code:
            cells.wrong(
                column,
                f"所属コード{code}はありません。先に所属を登録するか、コードを直してください。",
                f"section {code} does not exist",
            )
        return UUID(int=0)
    return section.section_id


def _posting(cells: Cells, known: Known) -> Posting:
    own = _section(cells, "所属コード", cells.text("所属コード", CODE_LIMIT), known)
    concurrent = in_order(_section(cells, "兼務所属コード", code, known) for code in cells.codes("兼務所属コード"))
    if own.int and own in concurrent:
        cells.wrong("兼務所属コード", "所属と同じです。兼務から外してください。", "repeats the own section")
    return Posting(
        section_id=own,
        post=cells.text("職"),
        full_time=FULL_TIME.get(cells.choice("常勤", tuple(FULL_TIME)), False),
        employment_kind=cells.choice("職員の種類", EMPLOYMENT_KINDS),
        concurrent=concurrent,
    )


def _plan_person(cells: Cells, known: Known, new_id: Callable[[], UUID]) -> Change | None:
    number = cells.text("職員番号", CODE_LIMIT)
    before = known.people.get(number)
    joined_on = cells.day("採用日")
    effective_from = max(known.effective_from, joined_on)
    if joined_on > known.today:
        cells.wrong("採用日", "まだ来ていない日です。採用されてから取り込んでください。", "is still to come")
    wanted = Person(
        person_id=before.person_id if before else new_id(),
        version=1,
        state_version=1,
        name=cells.text("氏名"),
        kana=cells.text("フリガナ"),
        mail=cells.mail("メール"),
        posting=_posting(cells, known),
        posted_on=effective_from,
        joined_on=joined_on,
    )
    if before is None:
        return Change("joined", None, wanted, effective_from, number)
    if before.left_on is not None and before.left(known.today):
        if effective_from < before.left_on:
            ja = f"退職した日（{before.left_on}）以降の日にしてください。"
            cells.wrong("採用日", ja, f"is before the day of leaving, {before.left_on}")
        return replace(rejoin(before, wanted, effective_from), number=number)
    try:
        return change_person(before, replace(wanted, left_on=before.left_on), effective_from, new_id())
    except BeforePresentPosting as refusal:
        cells.wrong("所属コード", refusal.sentence("ja"), refusal.sentence("en"))
        return None


@dataclass(frozen=True, slots=True)
class KnownSections:
    """What the town knows already, for an import of sections.

    ``sections``: by code, those that exist on the day. ``numbers``: held staff numbers. ``people_imported``: a number
    that nobody holds is a mistake; before, the section waits for its head.
    """

    sections: Mapping[str, Section]
    numbers: Mapping[str, UUID]
    people_imported: bool
    effective_from: date


def plan_sections(table: Table, known: KnownSections, new_id: Callable[[], UUID]) -> SectionPlan:
    """Compare a file of sections with those that exist, by code.

    Raises:
        ImportRefused: with everything that is wrong, by row and column.
    """
    problems = table.problems
    _refuse_duplicates(table.records, "所属コード", problems)
    created: list[Section] = []
    changed: list[SectionChange] = []
    touched: list[Section] = []
    same: list[Section] = []
    heads: dict[UUID, tuple[str | None, str]] = {}
    for record in table.records:
        cells = Cells(record, problems)
        wanted = _wanted_section(cells, known.effective_from, new_id)
        number = cells.text("長の職員番号", CODE_LIMIT, required=False) or None
        waits = number is not None and number not in known.numbers
        if waits and known.people_imported:
            cells.wrong(
                "長の職員番号", f"職員番号{number}の職員はいません。番号を直してください。", f"{number} is unknown"
            )
        before = known.sections.get(wanted.code)
        after = _changed_section(before, wanted) if before else wanted
        after = replace(after, awaited_head_number=number if waits else None)
        heads[after.section_id] = (number, wanted.head_post)
        if before is None:
            created.append(after)
        elif after.version > before.version:
            changed.append(SectionChange(before, after))
        else:
            (same if after == before else touched).append(after)
    refuse_problems(problems)
    return SectionPlan(tuple(created), tuple(changed), tuple(touched), tuple(same), heads)


def _wanted_section(cells: Cells, effective_from: date, new_id: Callable[[], UUID]) -> Section:
    return Section(
        section_id=new_id(),
        version=1,
        code=cells.text("所属コード", CODE_LIMIT),
        name=cells.text("所属名"),
        kind=cells.choice("種別", KINDS),
        appointing_authority=cells.text("任命権者"),
        display_order=cells.number("並び順"),
        created_on=effective_from,
        head_post=cells.text("長の職名", required=False) or DEFAULT_HEAD_POST,
    )


def _changed_section(before: Section, wanted: Section) -> Section:
    facts = (before.name != wanted.name) + (before.attributes != wanted.attributes)
    return replace(
        before,
        version=before.version + facts,
        name=wanted.name,
        kind=wanted.kind,
        appointing_authority=wanted.appointing_authority,
        display_order=wanted.display_order,
    )

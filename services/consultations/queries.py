"""What the screens show: categories, desks, lists, one case with its entries, leaders, and the work that waits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import Page, Target, View, WorkItem, page_of
from chassis.http.paging import PageRequest
from services.consultations import domain, repository
from services.consultations.domain import Consultation, Party, State
from taiwa_contracts.consultations import Desk

DESK_LABELS: dict[Desk, str] = {"hr": "総務課", "it_policy": "総合政策課"}
"""Names of the desks until a town names its own."""

STATE_LABELS: dict[State, str] = {
    "open": "回答を準備中",
    "answered": "回答あり",
    "waiting_requester": "返事待ち",
    "resolved": "解決済み",
}
_CLOCK_REASONS: dict[State, str] = {
    "open": "担当の課が回答を準備しているため、動いています。",
    "answered": "回答したため、止まっています。",
    "waiting_requester": "相談した人の返事を待っているため、止まっています。",
    "resolved": "解決したため、止まっています。",
}
UNKNOWN_NAME = "（氏名の登録なし）"
UNKNOWN_SECTION = "（所属の登録なし）"


class CategoryView(BaseModel):
    """What a case can be about."""

    code: str
    label: str
    desk: Desk
    desk_label: str


class Member(BaseModel):
    """Somebody at a desk."""

    person_id: UUID
    name: str


class DeskView(BaseModel):
    """A desk and who belongs to it today."""

    desk: Desk
    label: str
    people: list[Member]


class Led(BaseModel):
    """A section whose leader the person is. ``until_on`` inclusive; null: serves on until a successor is chosen."""

    section_id: UUID
    section_name: str
    from_on: date
    until_on: date | None


class PersonView(BaseModel):
    """Who it is; ``leader_of`` is empty for somebody who leads no section today."""

    person_id: UUID
    name: str
    post: str | None = None
    section_id: UUID | None = None
    section: str = ""
    leader_of: list[Led] = []


class Clock(BaseModel):
    """The time for the answer. ``answer_due_at`` is null while it stands; ``reason`` says in Japanese why."""

    running: bool
    answer_due_at: datetime | None
    overdue: bool
    reason: str
    first_replied_at: datetime | None
    first_answered_at: datetime | None


class ConsultationSummary(BaseModel):
    """One row of a list."""

    consultation_id: UUID
    number: str
    title: str
    category: str
    category_label: str
    desk: Desk
    desk_label: str
    state: State
    state_label: str
    requester: Member
    section_name: str
    assignee: Member | None
    opened_at: datetime
    changed_at: datetime
    answer_due_at: datetime | None
    overdue: bool
    mine: bool
    version: int


class Entry(BaseModel):
    """One entry of a case. ``opening`` is the question itself; ``note`` is shown to the desks only."""

    entry_id: UUID
    kind: Literal["opening", "answer", "question", "reply", "note"]
    author: PersonView
    body: str
    written_at: datetime


class ConsultationView(BaseModel):
    """One case. ``may``: what the caller can do now (assign, answer, question, reply, note, resolve, reopen)."""

    consultation_id: UUID
    number: str
    title: str
    category: str
    category_label: str
    desk: Desk
    desk_label: str
    state: State
    state_label: str
    requester: PersonView
    assignee: PersonView | None
    clock: Clock
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: Member | None
    entries: list[Entry]
    mine: bool
    may: list[str]
    version: int = Field(description="give it as `version` of a command, to be refused if the case changed meanwhile")


class LeaderView(BaseModel):
    """Who leads a section on a day, as this service knows it."""

    appointment_id: UUID
    person_id: UUID
    name: str
    post: str | None
    section_id: UUID
    section_name: str
    head_person_id: UUID | None
    head_name: str | None
    from_on: date
    until_on: date | None


_SECTION_NAMES = """
SELECT DISTINCT ON (section_id) section_id, name FROM section_names
WHERE municipality = $1 AND section_id = ANY($2)
ORDER BY section_id, (from_on <= $3) DESC, CASE WHEN from_on <= $3 THEN from_on END DESC, from_on
"""

_PEOPLE = """
SELECT person_id, name, post, section_id FROM people WHERE municipality = $1 AND person_id = ANY($2)
"""

_LED = """
SELECT person_id, section_id, from_on, until_on FROM leader_terms
WHERE municipality = $1 AND person_id = ANY($2) AND NOT withdrawn
  AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
ORDER BY from_on, appointment_id
"""

_ENTRIES = """
SELECT entry_id, kind, author_person_id, body, written_at FROM entries
WHERE municipality = $1 AND consultation_id = $2 AND (kind <> 'note' OR $3)
ORDER BY written_at, entry_id
"""

_LIST = f"""
SELECT {repository.COLUMNS} FROM consultations
WHERE municipality = $1
  AND ($2::uuid IS NULL OR requester_person_id = $2)
  AND ($3::text IS NULL OR desk = $3)
  AND ($4::text IS NULL OR state = $4)
  AND ($5::timestamptz IS NULL OR (opened_at, consultation_id) < ($5, $6::uuid))
ORDER BY opened_at DESC, consultation_id DESC
LIMIT $7
"""

_LEADERS = """
SELECT term.appointment_id, term.person_id, term.section_id, term.from_on, term.until_on,
       person.name, person.post, head.head_person_id
FROM leader_terms AS term
LEFT JOIN sections AS section USING (municipality, section_id)
LEFT JOIN people AS person USING (municipality, person_id)
LEFT JOIN LATERAL (
    SELECT head_person_id FROM section_heads
    WHERE municipality = term.municipality AND section_id = term.section_id AND from_on <= $2
    ORDER BY from_on DESC LIMIT 1
) AS head ON true
WHERE term.municipality = $1 AND NOT term.withdrawn
  AND term.from_on <= $2 AND (term.until_on IS NULL OR term.until_on >= $2)
  AND ($3::uuid IS NULL OR term.section_id = $3)
ORDER BY section.display_order NULLS LAST, term.section_id, person.kana COLLATE "C" NULLS LAST, term.appointment_id
"""

_MEMBERS = """
SELECT DISTINCT member.desk, member.person_id, person.name, person.kana
FROM desk_members AS member
LEFT JOIN people AS person USING (municipality, person_id)
WHERE member.municipality = $1 AND member.from_on <= $2 AND (member.until_on IS NULL OR member.until_on >= $2)
  AND NOT coalesce(person.has_left, false)
ORDER BY member.desk, person.kana NULLS LAST, member.person_id
"""

_WORK = f"""
SELECT {repository.COLUMNS} FROM consultations
WHERE municipality = $1 AND state <> 'resolved'
  AND ((requester_person_id = $2 AND state IN ('waiting_requester', 'answered'))
       OR (desk = ANY($3) AND requester_person_id <> $2 AND state = 'open'
           AND (assignee_person_id IS NULL OR assignee_person_id = $2))
       OR (assignee_person_id = $2 AND state = 'open'))
ORDER BY answer_due_at NULLS LAST, changed_at, consultation_id
LIMIT 200
"""


def party_of(caller: Caller) -> Party:
    """The caller as a party of cases: the desks are roles of the same names."""
    return Party(caller.person_id, frozenset(desk for desk in domain.DESKS if desk in caller.roles))


async def categories(view: View) -> list[CategoryView]:
    """The categories of the town, in order."""
    return [
        CategoryView(code=it.code, label=it.label, desk=it.desk, desk_label=DESK_LABELS[it.desk])
        for it in domain.categories_of(await repository.own_categories(view.connection, view.municipality))
    ]


async def desks(view: View) -> list[DeskView]:
    """Both desks with the people who belong to them today."""
    rows = await view.connection.fetch(_MEMBERS, view.municipality, view.today)
    return [
        DeskView(
            desk=desk,
            label=DESK_LABELS[desk],
            people=[
                Member(person_id=row["person_id"], name=row["name"] or UNKNOWN_NAME)
                for row in rows
                if row["desk"] == desk
            ],
        )
        for desk in domain.DESKS
    ]


async def list_consultations(
    view: View,
    caller: Caller,
    paging: PageRequest,
    *,
    mine: bool,
    desk: Desk | None,
    state: State | None,
) -> Page[ConsultationSummary]:
    """Cases the caller may know of, the newest first; those outside the desks see their own only."""
    party = party_of(caller)
    opened_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    rows = await view.connection.fetch(
        _LIST,
        view.municipality,
        caller.person_id if mine or not party.desks else None,
        desk,
        state,
        opened_at,
        last_id,
        paging.limit + 1,
    )
    page, cursor = page_of(rows, paging, lambda row: (row["opened_at"].isoformat(), row["consultation_id"]))
    found = [Consultation(**row) for row in page]
    names = await _names(view, [it.requester_person_id for it in found] + [it.assignee_person_id for it in found])
    sections = await _section_names(view, [it.section_id for it in found])
    labels = {category.code: category.label for category in await categories(view)}
    items = [
        ConsultationSummary(
            consultation_id=it.consultation_id,
            number=it.number,
            title=it.title,
            category=it.category,
            category_label=labels.get(it.category, it.category),
            desk=it.desk,
            desk_label=DESK_LABELS[it.desk],
            state=it.state,
            state_label=STATE_LABELS[it.state],
            requester=_member(names, it.requester_person_id),
            section_name=sections.get(it.section_id, UNKNOWN_SECTION),
            assignee=_member(names, it.assignee_person_id) if it.assignee_person_id else None,
            opened_at=it.opened_at,
            changed_at=it.changed_at,
            answer_due_at=it.answer_due_at,
            overdue=it.overdue(view.now),
            mine=it.requester_person_id == caller.person_id,
            version=it.version,
        )
        for it in found
    ]
    return Page(items=items, next_cursor=cursor)


async def consultation(view: View, caller: Caller, consultation_id: UUID) -> ConsultationView:
    """One case with its entries.

    Raises:
        NotFound: there is none, or it is not for the caller.
    """
    party = party_of(caller)
    stored = await repository.load_consultation(view.connection, view.municipality, consultation_id)
    it = domain.met(stored, party)
    rows = await view.connection.fetch(_ENTRIES, view.municipality, consultation_id, it.notes_seen_by(party))
    concerned = [it.requester_person_id, it.assignee_person_id, it.resolved_by_person_id]
    people = await _people(view, [*concerned, *(row["author_person_id"] for row in rows)])
    labels = {category.code: category.label for category in await categories(view)}
    # The section the question came from is the case's own, however its requester is transferred later.
    section = (await _section_names(view, [it.section_id])).get(it.section_id, UNKNOWN_SECTION)
    requester = people[it.requester_person_id].model_copy(update={"section_id": it.section_id, "section": section})
    return ConsultationView(
        consultation_id=it.consultation_id,
        number=it.number,
        title=it.title,
        category=it.category,
        category_label=labels.get(it.category, it.category),
        desk=it.desk,
        desk_label=DESK_LABELS[it.desk],
        state=it.state,
        state_label=STATE_LABELS[it.state],
        requester=requester,
        assignee=people[it.assignee_person_id] if it.assignee_person_id else None,
        clock=Clock(
            running=it.answer_due_at is not None,
            answer_due_at=it.answer_due_at,
            overdue=it.overdue(view.now),
            reason=_CLOCK_REASONS[it.state],
            first_replied_at=it.first_replied_at,
            first_answered_at=it.first_answered_at,
        ),
        opened_at=it.opened_at,
        changed_at=it.changed_at,
        resolved_at=it.resolved_at,
        resolved_by=(
            Member(person_id=it.resolved_by_person_id, name=people[it.resolved_by_person_id].name)
            if it.resolved_by_person_id
            else None
        ),
        entries=[
            Entry(
                entry_id=row["entry_id"],
                kind=row["kind"],
                author=people[row["author_person_id"]],
                body=row["body"],
                written_at=row["written_at"],
            )
            for row in rows
        ],
        mine=it.requester_person_id == caller.person_id,
        may=domain.open_to(it, party),
        version=it.version,
    )


async def leaders(view: View, section_id: UUID | None) -> list[LeaderView]:
    """Who leads which section today, in the order of the sections."""
    rows = await view.connection.fetch(_LEADERS, view.municipality, view.today, section_id)
    sections = await _section_names(view, [row["section_id"] for row in rows])
    heads = await _names(view, [row["head_person_id"] for row in rows])
    return [
        LeaderView(
            appointment_id=row["appointment_id"],
            person_id=row["person_id"],
            name=row["name"] or UNKNOWN_NAME,
            post=row["post"],
            section_id=row["section_id"],
            section_name=sections.get(row["section_id"], UNKNOWN_SECTION),
            head_person_id=row["head_person_id"],
            head_name=heads.get(row["head_person_id"]) if row["head_person_id"] else None,
            from_on=row["from_on"],
            until_on=row["until_on"],
        )
        for row in rows
    ]


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """Cases to take, to answer, to reply to, to confirm; the nearest due first."""
    party = party_of(caller)
    rows = await view.connection.fetch(_WORK, view.municipality, caller.person_id, sorted(party.desks))
    found = [Consultation(**row) for row in rows]
    names = await _names(view, [it.requester_person_id for it in found])
    sections = await _section_names(view, [it.section_id for it in found])
    return [
        _work_item(
            it,
            caller,
            asker=f"{sections.get(it.section_id, UNKNOWN_SECTION)} "
            f"{names.get(it.requester_person_id, UNKNOWN_NAME)}さんの相談",
            now=view.now,
        )
        for it in found
    ]


def _work_item(it: Consultation, caller: Caller, *, asker: str, now: datetime) -> WorkItem:
    if it.requester_person_id == caller.person_id:
        asked_back = it.state == "waiting_requester"
        kind: Literal["assign", "answer", "confirm"] = "answer" if asked_back else "confirm"
        title = f"{it.number} {it.title}：{'質問に返事をする' if asked_back else '回答を確かめて解決にする'}"
        note = f"{DESK_LABELS[it.desk]}から{'質問' if asked_back else '回答'}が届いています"
    else:
        kind = "answer" if it.assignee_person_id else "assign"
        title = f"{it.number} {it.title}：{'答える' if it.assignee_person_id else '担当を決める'}"
        note = f"{asker}。回答の期限を過ぎています" if it.overdue(now) else asker
    return WorkItem(
        id=f"{kind}:{it.consultation_id}",
        kind=kind,
        title=title,
        note=note,
        due_at=it.answer_due_at,
        since=it.changed_at,
        target=Target(kind="consultation", id=str(it.consultation_id)),
    )


def _member(names: dict[UUID, str], person_id: UUID) -> Member:
    return Member(person_id=person_id, name=names.get(person_id, UNKNOWN_NAME))


async def _rows_of_people(view: View, ids: Sequence[UUID | None]) -> dict[UUID, asyncpg.Record]:
    wanted = {person_id for person_id in ids if person_id is not None}
    rows = await view.connection.fetch(_PEOPLE, view.municipality, list(wanted)) if wanted else []
    return {row["person_id"]: row for row in rows}


async def _names(view: View, ids: Sequence[UUID | None]) -> dict[UUID, str]:
    return {key: row["name"] or UNKNOWN_NAME for key, row in (await _rows_of_people(view, ids)).items()}


async def _section_names(view: View, ids: Sequence[UUID | None]) -> dict[UUID, str]:
    wanted = list({section_id for section_id in ids if section_id is not None})
    rows = await view.connection.fetch(_SECTION_NAMES, view.municipality, wanted, view.today) if wanted else []
    return {row["section_id"]: row["name"] for row in rows}


async def _people(view: View, ids: Sequence[UUID | None]) -> dict[UUID, PersonView]:
    """Everybody asked for, known or not, with what they lead today."""
    wanted = list({person_id for person_id in ids if person_id is not None})
    rows = await _rows_of_people(view, wanted)
    led = await view.connection.fetch(_LED, view.municipality, wanted, view.today)
    sections = await _section_names(
        view, [row["section_id"] for row in rows.values()] + [row["section_id"] for row in led]
    )
    people = {person_id: PersonView(person_id=person_id, name=UNKNOWN_NAME) for person_id in wanted}
    for person_id, row in rows.items():
        people[person_id] = PersonView(
            person_id=person_id,
            name=row["name"] or UNKNOWN_NAME,
            post=row["post"],
            section_id=row["section_id"],
            section=sections.get(row["section_id"], UNKNOWN_SECTION),
        )
    for row in led:
        people[row["person_id"]].leader_of.append(
            Led(
                section_id=row["section_id"],
                section_name=sections.get(row["section_id"], UNKNOWN_SECTION),
                from_on=row["from_on"],
                until_on=row["until_on"],
            )
        )
    return people

"""Use cases of a case: load, decide, save, emit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict
from uuid import UUID

from chassis.calendar import fiscal_year_of
from chassis.transaction import Transaction, new_id
from services.consultations import repository
from services.consultations.domain import consultation as domain
from services.consultations.domain.consultation import Consultation, Party
from services.consultations.domain.refusals import NoSection
from services.consultations.domain.routing import Category, categories_of, route
from taiwa_contracts.consultations import (
    ConsultationAnsweredV1,
    ConsultationAssignedV1,
    ConsultationOpenedV1,
    ConsultationReopenedV1,
    ConsultationResolvedV1,
    ConsultationTextV1,
    Desk,
)


@dataclass(frozen=True, slots=True)
class OpenConsultation:
    """Ask a question; ``section_id`` as the token says it, else as this service knows it."""

    by: Party
    section_id: UUID | None
    title: str
    body: str
    category: str | None


@dataclass(frozen=True, slots=True)
class AssignConsultation:
    """Give a case an owner; none named: oneself."""

    by: Party
    consultation_id: UUID
    assignee_person_id: UUID | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class WriteEntry:
    """Answer, ask back, reply or note."""

    by: Party
    consultation_id: UUID
    kind: domain.EntryKind
    body: str
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class ResolveConsultation:
    """Close a case."""

    by: Party
    consultation_id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class ReopenConsultation:
    """Open a resolved case again."""

    by: Party
    consultation_id: UUID
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeCategory:
    """Change or add a category: its label and the desk it goes to."""

    code: str
    label: str
    desk: Desk


async def open_consultation(tx: Transaction, command: OpenConsultation) -> UUID:
    """Open a case and route it; gives its id, which is the id of its first entry too."""
    section_id = command.section_id or await repository.section_of(tx.connection, tx.municipality, command.by.person_id)
    if section_id is None:
        raise NoSection
    own = await repository.own_categories(tx.connection, tx.municipality)
    category = route(categories_of(own), command.category)
    calendar = await repository.calendar_of(tx.connection, tx.municipality)
    due_at = calendar.answer_due(tx.now)
    fiscal_year = fiscal_year_of(tx.today)
    ordinal = await repository.next_ordinal(tx.connection, tx.municipality, fiscal_year)
    opened = Consultation(
        consultation_id=new_id(),
        number=domain.number_of(fiscal_year, ordinal),
        title=command.title,
        category=category.code,
        desk=category.desk,
        requester_person_id=command.by.person_id,
        section_id=section_id,
        opened_at=tx.now,
        changed_at=tx.now,
        answer_due_at=due_at,
    )
    await repository.add_consultation(tx.connection, tx.municipality, opened)
    event = ConsultationOpenedV1(
        **_named(opened), section_id=section_id, category=category.code, desk=category.desk, answer_due_at=due_at
    )
    tx.emit(event, version=opened.version)
    await _add_text(tx, opened, "opening", command.by, command.body, entry_id=opened.consultation_id)
    return opened.consultation_id


async def assign_consultation(tx: Transaction, command: AssignConsultation) -> None:
    """Give the case an owner."""
    before = await _load(tx, command.consultation_id, command.by, command.expected_version)
    assignee = command.by
    if command.assignee_person_id not in (None, command.by.person_id):
        desks = await repository.desks_of(tx.connection, tx.municipality, command.assignee_person_id, tx.today)
        assignee = Party(command.assignee_person_id, desks)
    assigned = domain.assign(before, command.by, assignee, tx.now)
    await repository.save_consultation(tx.connection, tx.municipality, before, assigned)
    _emit_assigned(tx, assigned, command.by)


async def write_entry(tx: Transaction, command: WriteEntry) -> None:
    """Write to the case, by the kind's own rule."""
    before = await _load(tx, command.consultation_id, command.by, command.expected_version)
    if command.kind == "note":
        domain.note(before, command.by)
        await _add_text(tx, before, "note", command.by, command.body)
    elif command.kind == "reply":
        calendar = await repository.calendar_of(tx.connection, tx.municipality)
        after = domain.reply(before, command.by, tx.now, calendar)
        await repository.save_consultation(tx.connection, tx.municipality, before, after)
        await _add_answer(tx, after, command.kind, command.by, command.body)
    else:
        await _answer(tx, before, command.kind, command)


async def resolve_consultation(tx: Transaction, command: ResolveConsultation) -> None:
    """Close the case."""
    before = await _load(tx, command.consultation_id, command.by, command.expected_version)
    after = domain.resolve(before, command.by, tx.now)
    await repository.save_consultation(tx.connection, tx.municipality, before, after)
    event = ConsultationResolvedV1(
        **_named(after), by_person_id=command.by.person_id, assignee_person_id=after.assignee_person_id
    )
    tx.emit(event, version=after.version)


async def reopen_consultation(tx: Transaction, command: ReopenConsultation) -> None:
    """Open the case again."""
    before = await _load(tx, command.consultation_id, command.by, command.expected_version)
    calendar = await repository.calendar_of(tx.connection, tx.municipality)
    after = domain.reopen(before, tx.now, calendar)
    await repository.save_consultation(tx.connection, tx.municipality, before, after)
    event = ConsultationReopenedV1(
        **_named(after),
        by_person_id=command.by.person_id,
        desk=after.desk,
        assignee_person_id=after.assignee_person_id,
    )
    tx.emit(event, version=after.version)


async def change_category(tx: Transaction, command: ChangeCategory) -> None:
    """Change or add a category; cases opened before keep theirs."""
    await repository.save_category(tx.connection, tx.municipality, Category(command.code, command.label, command.desk))


async def _load(tx: Transaction, consultation_id: UUID, by: Party, expected_version: int | None) -> Consultation:
    found = await repository.load_consultation(tx.connection, tx.municipality, consultation_id)
    return domain.met(found, by, expected_version)


async def _answer(
    tx: Transaction, before: Consultation, kind: Literal["answer", "question"], command: WriteEntry
) -> None:
    """Answer or ask back; a case that nobody owns is taken by who answers it."""
    answered = domain.answer(before, kind, command.by, tx.now)
    if before.assignee_person_id is None:
        taken = domain.assign(before, command.by, command.by, tx.now)
        answered = domain.answer(taken, kind, command.by, tx.now)
        await repository.save_consultation(tx.connection, tx.municipality, before, answered)
        _emit_assigned(tx, taken, command.by)
    else:
        await repository.save_consultation(tx.connection, tx.municipality, before, answered)
    await _add_answer(tx, answered, kind, command.by, command.body)


async def _add_answer(
    tx: Transaction, it: Consultation, kind: Literal["answer", "question", "reply"], by: Party, body: str
) -> None:
    entry_id = await _add_text(tx, it, kind, by, body)
    event = ConsultationAnsweredV1(
        **_named(it),
        entry_id=entry_id,
        kind=kind,
        by_person_id=by.person_id,
        desk=it.desk,
        assignee_person_id=it.assignee_person_id,
    )
    tx.emit(event, version=it.version)


async def _add_text(
    tx: Transaction, it: Consultation, kind: str, by: Party, body: str, *, entry_id: UUID | None = None
) -> UUID:
    """Store an entry; its text travels apart as state, except a note's, which never leaves."""
    entry_id = entry_id or new_id()
    await repository.add_entry(
        tx.connection,
        tx.municipality,
        entry_id=entry_id,
        consultation_id=it.consultation_id,
        kind=kind,
        author_person_id=by.person_id,
        body=body,
        written_at=tx.now,
    )
    if kind != "note":
        tx.emit_state(ConsultationTextV1, f"{ConsultationTextV1.AGGREGATE}/{entry_id}", version=1)
    return entry_id


def _emit_assigned(tx: Transaction, it: Consultation, by: Party) -> None:
    assert it.assignee_person_id is not None  # noqa: S101  domain.assign has just set it
    event = ConsultationAssignedV1(
        **_named(it), desk=it.desk, assignee_person_id=it.assignee_person_id, by_person_id=by.person_id
    )
    tx.emit(event, version=it.version)


class _Named(TypedDict):
    consultation_id: UUID
    number: str
    title: str
    requester_person_id: UUID


def _named(it: Consultation) -> _Named:
    """What every fact of a case says."""
    return {
        "consultation_id": it.consultation_id,
        "number": it.number,
        "title": it.title,
        "requester_person_id": it.requester_person_id,
    }

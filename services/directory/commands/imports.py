"""Import of sections and people from CSV files: all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.directory.commands.heads import assign_heads, vacate_headships
from services.directory.commands.publication import publish
from services.directory.domain.files import read_table
from services.directory.domain.roster import (
    PEOPLE_COLUMNS,
    SECTION_COLUMNS,
    Known,
    KnownSections,
    SectionChange,
    SectionPlan,
    plan_people,
    plan_sections,
)
from services.directory.domain.sections import Headship, Section, require_not_future
from services.directory.repository import municipality as towns
from services.directory.repository import people as people_kept
from services.directory.repository import sections as sections_kept
from services.directory.repository import transfers as transfers_kept
from taiwa_contracts.directory import SectionChangedV1, SectionCreatedV1, SectionRenamedV1


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file as it came. ``effective_from`` ``None``: today. ``dry_run``: only say what would change."""

    content: bytes
    effective_from: date | None = None
    dry_run: bool = False


class Imported(BaseModel):
    """What an import did, or would do: numbers of rows."""

    created: int
    changed: int
    unchanged: int
    dry_run: bool
    encoding: str


async def import_people(tx: Transaction, command: ImportFile) -> Imported:
    """Make people as the file says; who is not in it stays as they are."""
    effective_from = command.effective_from or tx.today
    require_not_future(effective_from, tx.today)
    table = read_table(command.content, PEOPLE_COLUMNS)
    await towns.lock_municipality(tx.connection, tx.municipality)
    sections = await sections_kept.lock_sections(tx.connection, tx.municipality)
    numbers = [record.cells["職員番号"] for record in table.records]
    known = Known(
        people=await people_kept.lock_people_by_number(tx.connection, tx.municipality, numbers),
        sections={each.code: each for each in sections.values() if each.exists_on(effective_from)},
        effective_from=effective_from,
        today=tx.today,
    )
    plan = plan_people(table, known, new_id)
    if not command.dry_run:
        await people_kept.save_changes(tx.connection, tx.municipality, plan.changes, tx.now)
        await transfers_kept.insert_transfers(tx.connection, tx.municipality, plan.changes, tx.now)
        publish(tx, plan.changes)
        await vacate_headships(tx, plan.changes)
        await _seat_awaited(tx, sections, effective_from)
        await towns.note_people_imported(tx.connection, tx.municipality, tx.now)
    created = sum(change.before is None for change in plan.changes)
    return Imported(
        created=created,
        changed=len(plan.changes) - created,
        unchanged=plan.unchanged,
        dry_run=command.dry_run,
        encoding=table.encoding,
    )


async def _seat_awaited(tx: Transaction, sections: Mapping[UUID, Section], effective_from: date) -> None:
    """Heads whose numbers an earlier import of sections named, before the people were known."""
    awaited = {each.awaited_head_number: each for each in sections.values() if each.awaited_head_number}
    if not awaited:
        return
    held = await people_kept.held_numbers(tx.connection, tx.municipality, list(awaited))
    found = [(awaited[number], person_id) for number, person_id in held.items()]
    await assign_heads(
        tx,
        [
            Headship(each.section_id, person_id, each.head_post, max(each.created_on, effective_from))
            for each, person_id in found
        ],
    )


async def import_sections(tx: Transaction, command: ImportFile) -> Imported:
    """Make sections as the file says; one that is not in it stays as it is."""
    effective_from = command.effective_from or tx.today
    require_not_future(effective_from, tx.today)
    table = read_table(command.content, SECTION_COLUMNS)
    town = await towns.lock_municipality(tx.connection, tx.municipality)
    sections = await sections_kept.lock_sections(tx.connection, tx.municipality)
    known = KnownSections(
        sections={each.code: each for each in sections.values() if each.exists_on(effective_from)},
        numbers=await people_kept.held_numbers(tx.connection, tx.municipality),
        people_imported=town is not None and town.people_imported,
        effective_from=effective_from,
    )
    plan = plan_sections(table, known, new_id)
    heads = await _heads_to_assign(tx, plan, known)
    if not command.dry_run:
        await _save(tx, plan, effective_from)
        await assign_heads(tx, heads)
    unchanged = {each.section_id for each in plan.same} - {each.section_id for each in heads}
    return Imported(
        created=len(plan.created),
        changed=len(table.records) - len(plan.created) - len(unchanged),
        unchanged=len(unchanged),
        dry_run=command.dry_run,
        encoding=table.encoding,
    )


async def _heads_to_assign(tx: Transaction, plan: SectionPlan, known: KnownSections) -> list[Headship]:
    """Headships of the file that differ from those of the day; a number nobody holds yet waits."""
    present = await sections_kept.heads_on(tx.connection, tx.municipality, list(plan.heads), known.effective_from)
    posts = {each.section_id: each.head_post for each in (*plan.created, *known.sections.values())}
    wanted = []
    for section_id, (number, post) in plan.heads.items():
        if number is not None and number not in known.numbers:
            continue
        head = present.get(section_id)
        is_now = (head.person_id, head.post) if head else (None, posts[section_id])
        shall_be = (known.numbers[number] if number else None, post)
        if is_now != shall_be:
            wanted.append(Headship(section_id, shall_be[0], post, known.effective_from))
    return wanted


async def _save(tx: Transaction, plan: SectionPlan, effective_from: date) -> None:
    connection, town = tx.connection, tx.municipality
    changed = [change.after for change in plan.changed]
    named = [change.after for change in plan.changed if change.renamed]
    altered = [change.after for change in plan.changed if change.altered]
    await sections_kept.save_sections(connection, town, [*plan.created, *changed, *plan.touched])
    await sections_kept.save_names(connection, town, [*plan.created, *named], effective_from)
    await sections_kept.save_attributes(connection, town, [*plan.created, *altered], effective_from)
    for each in plan.created:
        tx.emit(section_created(each), version=each.version)
    for change in plan.changed:
        _publish(tx, change, effective_from)


def _publish(tx: Transaction, change: SectionChange, effective_from: date) -> None:
    after = change.after
    if change.renamed:
        renamed = SectionRenamedV1(section_id=after.section_id, name=after.name, effective_from=effective_from)
        tx.emit(renamed, version=change.before.version + 1)
    if change.altered:
        altered = SectionChangedV1(
            section_id=after.section_id,
            kind=after.kind,
            appointing_authority=after.appointing_authority,
            display_order=after.display_order,
            effective_from=effective_from,
        )
        tx.emit(altered, version=after.version)


def section_created(section: Section) -> SectionCreatedV1:
    """The fact that a section exists."""
    return SectionCreatedV1(
        section_id=section.section_id,
        code=section.code,
        name=section.name,
        kind=section.kind,
        appointing_authority=section.appointing_authority,
        display_order=section.display_order,
        effective_from=section.created_on,
    )

"""Sections: create, rename, close, give a head."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.directory.commands.heads import assign_heads
from services.directory.commands.imports import section_created
from services.directory.domain.people import PersonUnknown
from services.directory.domain.sections import (
    Headship,
    Section,
    SectionCodeTaken,
    close,
    rename,
    require_not_future,
    require_section,
)
from services.directory.domain.transfers import require_in_service
from services.directory.repository import municipality as towns
from services.directory.repository import people as people_kept
from services.directory.repository import sections as kept
from taiwa_contracts.directory import SectionClosedV1, SectionRenamedV1


@dataclass(frozen=True, slots=True)
class CreateSection:
    """A section that exists from a day on, also a later one."""

    code: str
    name: str
    kind: str
    appointing_authority: str
    display_order: int
    head_post: str
    effective_from: date | None = None


@dataclass(frozen=True, slots=True)
class RenameSection:
    """A section bears a new name from a day on (today or earlier)."""

    section_id: UUID
    name: str
    effective_from: date | None = None


@dataclass(frozen=True, slots=True)
class CloseSection:
    """A section no longer exists from a day on (today or earlier)."""

    section_id: UUID
    effective_from: date | None = None


@dataclass(frozen=True, slots=True)
class AssignHead:
    """Who heads a section from a day on; a later day is kept secret until it comes."""

    section_id: UUID
    person_id: UUID | None
    post: str | None
    effective_from: date | None = None


class SectionCreated(BaseModel):
    """The new section's id."""

    section_id: UUID


async def create_section(tx: Transaction, command: CreateSection) -> SectionCreated:
    """Create a section without a head."""
    await towns.lock_municipality(tx.connection, tx.municipality)
    sections = await kept.lock_sections(tx.connection, tx.municipality)
    if any(each.code == command.code and each.closed_on is None for each in sections.values()):
        raise SectionCodeTaken(code=command.code)
    section = Section(
        section_id=new_id(),
        version=1,
        code=command.code,
        name=command.name,
        kind=command.kind,
        appointing_authority=command.appointing_authority,
        display_order=command.display_order,
        created_on=command.effective_from or tx.today,
        head_post=command.head_post,
    )
    await kept.save_sections(tx.connection, tx.municipality, [section])
    await kept.save_names(tx.connection, tx.municipality, [section], section.created_on)
    await kept.save_attributes(tx.connection, tx.municipality, [section], section.created_on)
    tx.emit(section_created(section), version=section.version)
    return SectionCreated(section_id=section.section_id)


async def rename_section(tx: Transaction, command: RenameSection) -> None:
    """Give a section another name; the same one changes nothing."""
    effective_from = command.effective_from or tx.today
    require_not_future(effective_from, tx.today)
    found = await kept.lock_section(tx.connection, tx.municipality, command.section_id)
    if (section := rename(require_section(found, effective_from), command.name)) is None:
        return
    await kept.save_sections(tx.connection, tx.municipality, [section])
    await kept.save_names(tx.connection, tx.municipality, [section], effective_from)
    event = SectionRenamedV1(section_id=section.section_id, name=section.name, effective_from=effective_from)
    tx.emit(event, version=section.version)


async def close_section(tx: Transaction, command: CloseSection) -> None:
    """Close a section to which nobody belongs."""
    effective_from = command.effective_from or tx.today
    require_not_future(effective_from, tx.today)
    await towns.lock_municipality(tx.connection, tx.municipality)
    found = await kept.lock_section(tx.connection, tx.municipality, command.section_id)
    section = require_section(found, effective_from)
    belonging = await kept.count_belonging(tx.connection, tx.municipality, section.section_id, effective_from)
    close(section, effective_from, belonging)
    await assign_heads(tx, [Headship(section.section_id, None, section.head_post, effective_from)])
    vacated = await kept.lock_section(tx.connection, tx.municipality, command.section_id)
    closed = close(vacated or section, effective_from, belonging)
    await kept.save_sections(tx.connection, tx.municipality, [closed])
    tx.emit(SectionClosedV1(section_id=closed.section_id, effective_from=effective_from), version=closed.version)


async def assign_head(tx: Transaction, command: AssignHead) -> None:
    """Record who heads a section."""
    effective_from = command.effective_from or tx.today
    found = await kept.lock_section(tx.connection, tx.municipality, command.section_id)
    section = require_section(found, effective_from)
    if command.person_id is not None:
        person = await people_kept.lock_person(tx.connection, tx.municipality, command.person_id)
        if person is None:
            raise PersonUnknown
        require_in_service(person, effective_from)
    post = command.post or section.head_post
    await assign_heads(tx, [Headship(section.section_id, command.person_id, post, effective_from)])

"""Transfers: planned in secret, effective on their day, taken back where they were wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.calendar import at
from chassis.transaction import Transaction, new_id
from services.directory.commands.heads import restore_headships, vacate_headships
from services.directory.commands.publication import publish
from services.directory.domain.people import Person, PersonUnknown
from services.directory.domain.sections import require_sections
from services.directory.domain.transfers import (
    NotTheLastTransfer,
    Transfer,
    TransferClosed,
    TransferUnknown,
    check_transfer,
    concurrent_after,
    require_in_service,
    revert,
    take_effect,
)
from services.directory.repository import people as people_kept
from services.directory.repository import sections as sections_kept
from services.directory.repository import transfers as kept

TAKE_EFFECT = "take_effect"


@dataclass(frozen=True, slots=True)
class TransferPerson:
    """Somebody goes to another section. ``concurrent_section_ids`` ``None``: 兼務 stays as it is."""

    person_id: UUID
    to_section_id: UUID
    post: str
    effective_from: date | None = None
    concurrent_section_ids: list[UUID] | None = None


@dataclass(frozen=True, slots=True)
class RevertTransfer:
    """The transfer was a mistake, or was called off before its day."""

    transfer_id: UUID


class TransferRecorded(BaseModel):
    """The transfer's id."""

    transfer_id: UUID


async def require_person(tx: Transaction, person_id: UUID) -> Person:
    """The person, locked.

    Raises:
        PersonUnknown: there is none.
    """
    person = await people_kept.lock_person(tx.connection, tx.municipality, person_id)
    if person is None:
        raise PersonUnknown
    return person


async def transfer_person(tx: Transaction, command: TransferPerson) -> TransferRecorded:
    """Record a transfer; of today or earlier it takes effect at once, else by a timer at 00:00 of its day."""
    person = await require_person(tx, command.person_id)
    transfer = Transfer(
        transfer_id=new_id(),
        person_id=person.person_id,
        from_section_id=person.posting.section_id,
        to_section_id=command.to_section_id,
        post=command.post,
        concurrent=concurrent_after(person, command.to_section_id, command.concurrent_section_ids),
        effective_from=command.effective_from or tx.today,
    )
    sections = await sections_kept.lock_sections(
        tx.connection, tx.municipality, [transfer.to_section_id, *transfer.concurrent]
    )
    require_sections(sections, [transfer.to_section_id, *transfer.concurrent], transfer.effective_from)
    check_transfer(person, transfer, tx.today)
    await kept.save_transfer(tx.connection, tx.municipality, transfer, tx.now)
    if transfer.effective_from <= tx.today:
        await _take_effect(tx, person, transfer)
    else:
        tx.schedule(TAKE_EFFECT, f"transfer/{transfer.transfer_id}", at(transfer.effective_from, "00:00"))
    return TransferRecorded(transfer_id=transfer.transfer_id)


async def _take_effect(tx: Transaction, person: Person, transfer: Transfer) -> None:
    change = take_effect(person, transfer)
    await people_kept.save_changes(tx.connection, tx.municipality, [change], tx.now)
    effective = replace(transfer, state="effective", from_section_id=person.posting.section_id)
    await kept.save_transfer(tx.connection, tx.municipality, effective, tx.now)
    publish(tx, [change])
    await vacate_headships(tx, [change])


async def take_planned_effect(tx: Transaction, aggregate: str) -> None:
    """Timer: the day of a transfer has come. One that was called off, or is void by now, changes nothing."""
    transfer = await kept.lock_transfer(tx.connection, tx.municipality, UUID(aggregate.partition("/")[2]))
    if transfer is None or transfer.state != "planned" or transfer.effective_from > tx.today:
        return
    person = await require_person(tx, transfer.person_id)
    if person.left(tx.today) or person.posting.section_id == transfer.to_section_id:
        await kept.save_transfer(tx.connection, tx.municipality, replace(transfer, state="cancelled"), tx.now)
        return
    # Something later may have been recorded since: the transfer then holds from that posting's first day.
    day = max(transfer.effective_from, person.posted_on)
    await _take_effect(tx, person, replace(transfer, effective_from=day))


async def revert_transfer(tx: Transaction, command: RevertTransfer) -> None:
    """Take a transfer back: one still to come vanishes, one in effect is corrected as if it had not been."""
    transfer = await kept.lock_transfer(tx.connection, tx.municipality, command.transfer_id)
    if transfer is None:
        raise TransferUnknown
    if transfer.state not in {"planned", "effective"}:
        raise TransferClosed
    if transfer.state == "planned":
        tx.cancel(TAKE_EFFECT, f"transfer/{transfer.transfer_id}")
        await kept.save_transfer(tx.connection, tx.municipality, replace(transfer, state="cancelled"), tx.now)
        return
    person = require_in_service(await require_person(tx, transfer.person_id), tx.today)
    before = await people_kept.posting_before(tx.connection, tx.municipality, person.person_id, transfer.transfer_id)
    if before is None:
        raise NotTheLastTransfer
    change = revert(person, transfer, before)
    await people_kept.save_reversal(tx.connection, tx.municipality, change, before, tx.now)
    await kept.save_transfer(tx.connection, tx.municipality, replace(transfer, state="reverted"), tx.now)
    publish(tx, [change])
    await vacate_headships(tx, [change])
    await restore_headships(tx, transfer.transfer_id)

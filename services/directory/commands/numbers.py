"""Staff numbers: a re-hired person may get another one and stays the same person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.refusals import Refusal
from chassis.transaction import Transaction
from services.directory.commands.transfers import require_person
from services.directory.domain.sections import require_not_future
from services.directory.repository import municipality as towns
from services.directory.repository import people as kept


class NumberTaken(Refusal):
    """One holder a number."""

    code = "directory.number_taken"
    ja = "職員番号{number}は別の職員が使っています。番号を確かめてください。"
    en = "Staff number {number} is held by somebody else. Check it."


@dataclass(frozen=True, slots=True)
class AssignNumber:
    """The person bears this number from a day on (today or earlier)."""

    person_id: UUID
    number: str
    effective_from: date | None = None


async def assign_number(tx: Transaction, command: AssignNumber) -> None:
    """Give a person another number; the one they hold already changes nothing."""
    effective_from = command.effective_from or tx.today
    require_not_future(effective_from, tx.today)
    await towns.lock_municipality(tx.connection, tx.municipality)
    person = await require_person(tx, command.person_id)
    held = await kept.held_numbers(tx.connection, tx.municipality, [command.number])
    holder = held.get(command.number)
    if holder == person.person_id:
        return
    if holder is not None:
        raise NumberTaken(number=command.number)
    await kept.renumber(tx.connection, tx.municipality, person.person_id, command.number, effective_from)

"""Ask every section to name its leaders for a fiscal year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.leaders.domain.call import SectionCall, closing_date, first_day
from services.leaders.domain.refusals import AlreadyCalled, FiscalYearNotOpen, NoSections
from services.leaders.repository import calls, facts
from taiwa_contracts.leaders import NominationRequestedV1


@dataclass(frozen=True, slots=True)
class OpenCall:
    """hr asks all sections; they answer by ``closes_on`` (inclusive)."""

    fiscal_year: int
    closes_on: date
    opened_by: UUID


class CallOpened(BaseModel):
    """The call, and what each section was asked."""

    fiscal_year: int
    closes_on: date
    section_call_ids: list[UUID]


async def open_call(tx: Transaction, command: OpenCall) -> CallOpened:
    """One section call for each section that exists on the first day.

    Raises:
        FiscalYearNotOpen, ClosingDateInvalid, NoSections, AlreadyCalled: see their sentences.
    """
    if not await facts.fiscal_year_is_open(tx.connection, tx.municipality, command.fiscal_year):
        raise FiscalYearNotOpen
    closes_on = closing_date(command.fiscal_year, command.closes_on, tx.today)
    day = first_day(command.fiscal_year, tx.today)
    heads = await facts.sections_on(tx.connection, tx.municipality, day, heads_on=tx.today)
    if not heads:
        raise NoSections
    year = command.fiscal_year
    if not await calls.add_call(
        tx.connection, tx.municipality, year, closes_on, opened_by=command.opened_by, opened_at=tx.now
    ):
        raise AlreadyCalled
    asked = await ask_sections(tx, year, closes_on, heads)
    return CallOpened(fiscal_year=year, closes_on=closes_on, section_call_ids=[call.section_call_id for call in asked])


async def ask_new_section(tx: Transaction, section_id: UUID, fiscal_year: int) -> None:
    """A section that is founded while its fiscal year's call stands is asked too."""
    closes_on = await calls.closing_date_of_call(tx.connection, tx.municipality, fiscal_year)
    if closes_on is not None:
        head = await facts.head_on(tx.connection, tx.municipality, section_id, tx.today)
        await ask_sections(tx, fiscal_year, closes_on, {section_id: head})


async def ask_sections(
    tx: Transaction, fiscal_year: int, closes_on: date, heads: Mapping[UUID, UUID | None]
) -> list[SectionCall]:
    """Ask the sections for the first time."""
    asked = [
        SectionCall(new_id(), fiscal_year, section_id, closes_on, open_until=closes_on, version=1)
        for section_id in heads
    ]
    await calls.add_section_calls(tx.connection, tx.municipality, asked)
    await calls.add_requests(tx.connection, tx.municipality, asked, list(heads.values()), requested_at=tx.now)
    for call in asked:
        request_nomination(tx, call, heads[call.section_id])
    return asked


def request_nomination(tx: Transaction, call: SectionCall, head: UUID | None) -> None:
    """Publish that the section is asked (again)."""
    tx.emit(
        NominationRequestedV1(
            section_call_id=call.section_call_id,
            fiscal_year=call.fiscal_year,
            section_id=call.section_id,
            head_person_id=head,
            closes_on=call.open_until,
        ),
        version=call.version,
    )

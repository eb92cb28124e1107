"""What we do when directory's facts or the calendar make us act. Each translates into an own command."""

from __future__ import annotations

from uuid import UUID

from chassis.calendar import at, fiscal_year_of
from chassis.service import Received
from chassis.transaction import Transaction
from services.leaders.commands.ask_head import ask_head
from services.leaders.commands.close_section import close_section
from services.leaders.commands.correct import undo_transfer_ends
from services.leaders.commands.deputy import end_deputies_gone, end_deputy_when_due
from services.leaders.commands.end_term import end_term_when_due
from services.leaders.commands.leave_section import LeftSections, end_terms_elsewhere
from services.leaders.commands.open_call import ask_new_section
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain.rules import LEADERS_PER_SECTION
from services.leaders.repository import appointments, coverages
from taiwa_contracts.directory import (
    RuleChangedV1,
    SectionClosedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    StaffChangedV1,
    StaffLeftV1,
    StaffTransferredV1,
    TransferRevertedV1,
)


async def end_terms_of_leaver(tx: Transaction, received: Received[StaffLeftV1]) -> None:
    """Who left the town is nobody's leader and nobody's deputy any more."""
    event = received.event
    await end_terms_elsewhere(tx, LeftSections(event.person_id, frozenset(), event.effective_from, "left"))
    await end_deputies_gone(tx, event.person_id, event.effective_from)


async def end_terms_of_transferred(tx: Transaction, received: Received[StaffTransferredV1]) -> None:
    """Who moved is no leader of the section they left, unless the town's rule lets the term go on."""
    event = received.event
    stays = frozenset({event.to_section_id, *event.concurrent_section_ids})
    moved = LeftSections(event.person_id, stays, event.effective_from, "transfer", event.transfer_id)
    await end_terms_elsewhere(tx, moved)
    await end_deputies_gone(tx, event.person_id, event.effective_from)


async def end_terms_of_changed(tx: Transaction, received: Received[StaffChangedV1]) -> None:
    """A 兼務 that ended takes the person out of that section too."""
    event = received.event
    stays = frozenset({event.section_id, *event.concurrent_section_ids})
    await end_terms_elsewhere(tx, LeftSections(event.person_id, stays, event.effective_from, "transfer"))
    await end_deputies_gone(tx, event.person_id, event.effective_from)


async def restore_terms_of_returned(tx: Transaction, received: Received[TransferRevertedV1]) -> None:
    """A transfer that never was ended no term."""
    await undo_transfer_ends(tx, received.event.person_id, received.event.transfer_id)


async def end_terms_of_closed_section(tx: Transaction, received: Received[SectionClosedV1]) -> None:
    """A section that is gone has no leaders and owes no answer."""
    await close_section(tx, received.event.section_id, received.event.effective_from)


async def ask_founded_section(tx: Transaction, received: Received[SectionCreatedV1]) -> None:
    """A section founded while its fiscal year's call stands is asked as the others were."""
    await ask_new_section(tx, received.event.section_id, fiscal_year_of(received.event.effective_from))


async def ask_new_head(tx: Transaction, received: Received[SectionHeadAssignedV1]) -> None:
    """Who comes to head a section after the call hears of it; on the day it holds, should that be still to come."""
    event = received.event
    if event.effective_from <= tx.today:
        await ask_head(tx, event.section_id)
    else:
        tx.schedule("ask_head", event.aggregate(), at(event.effective_from, "00:00"))


async def review_coverage_by_new_rule(tx: Transaction, received: Received[RuleChangedV1]) -> None:
    """How many leaders a section needs has changed: look at every section again, on the day it holds."""
    event = received.event
    if event.rule != LEADERS_PER_SECTION:
        return
    sections = await coverages.sections_ever_covered(tx.connection, tx.municipality)
    if event.effective_from <= tx.today:
        await review_coverage(tx, sections)
        return
    for section_id in sections:
        tx.schedule("review_coverage", f"coverage/{section_id}", at(event.effective_from, "00:00"))


def _id(aggregate: str) -> UUID:
    return UUID(aggregate.partition("/")[2])


async def ask_head_on_its_day(tx: Transaction, aggregate: str) -> None:
    """Timer ``ask_head`` of a section."""
    await ask_head(tx, _id(aggregate))


async def end_term_on_its_day(tx: Transaction, aggregate: str) -> None:
    """Timer ``end_term`` of an appointment."""
    await end_term_when_due(tx, _id(aggregate))


async def begin_term_on_its_day(tx: Transaction, aggregate: str) -> None:
    """Timer ``begin_term`` of an appointment: from today the section may have enough leaders."""
    await review_coverage(tx, [await appointments.section_of(tx.connection, tx.municipality, _id(aggregate))])


async def end_deputy_on_its_day(tx: Transaction, aggregate: str) -> None:
    """Timer ``end_deputy`` of an appointment."""
    await end_deputy_when_due(tx, _id(aggregate))


async def review_coverage_on_its_day(tx: Transaction, aggregate: str) -> None:
    """Timer ``review_coverage`` of a section."""
    await review_coverage(tx, [_id(aggregate)])

"""A section is closed: its leaders' terms end, and what it was asked is withdrawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from chassis.transaction import Transaction
from services.leaders.commands.end_term import end_terms
from services.leaders.commands.review_coverage import review_coverage
from services.leaders.domain.appointment import End
from services.leaders.repository import appointments, calls


async def close_section(tx: Transaction, section_id: UUID, closed_from: date) -> None:
    """End and withdraw everything of a section that no longer exists from ``closed_from``."""
    asked = await calls.section_calls_of(tx.connection, tx.municipality, section_id)
    withdrawn = [replace(call, state="withdrawn", nominations=()) for call in asked]
    await calls.save_section_calls(tx.connection, tx.municipality, asked, withdrawn, tx.now)
    for call in asked:
        await calls.settle_nominations(tx.connection, tx.municipality, call.nominations, "sent_back")
    running = await appointments.appointments_of_section(tx.connection, tx.municipality, section_id)
    await end_terms(tx, running, End(closed_from, "section_closed"))
    await review_coverage(tx, [section_id])

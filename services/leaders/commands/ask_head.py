"""A section has another head since it was asked: whoever heads it today is asked too."""

from __future__ import annotations

from uuid import UUID

from chassis.calendar import fiscal_year_of
from chassis.transaction import Transaction
from services.leaders.commands.open_call import request_nomination
from services.leaders.domain import call as domain
from services.leaders.repository import calls, facts


async def ask_head(tx: Transaction, section_id: UUID) -> None:
    """Ask the section's head of today for every answer it still owes, unless the last request went to this head.

    As with a reminder (:mod:`services.leaders.commands.remind`) a section that is late stays late, and a closing date
    that has passed opens again for a few days: nobody is asked for what can no longer be given.
    """
    connection, municipality = tx.connection, tx.municipality
    head = await facts.head_on(connection, municipality, section_id, tx.today)
    owed = await calls.section_calls_of(connection, municipality, section_id)
    asked_heads = await calls.last_asked(connection, municipality, [call.section_call_id for call in owed])
    this_year = fiscal_year_of(tx.today)
    unheard = [
        call for call in owed if domain.head_is_to_hear(call, head, asked_heads[call.section_call_id], this_year)
    ]
    if not unheard:
        return
    closed_days = await facts.closed_days(connection, municipality)
    asked = [
        domain.remind(call, domain.answer_by(call, None, tx.today, closed_days), enough_leaders=False)
        for call in unheard
    ]
    await calls.save_section_calls(connection, municipality, unheard, asked, tx.now)
    await calls.add_requests(connection, municipality, asked, [head] * len(asked), requested_at=tx.now)
    for call in asked:
        request_nomination(tx, call, head)

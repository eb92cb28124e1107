"""Send a section's answer back, with a reason; the section is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from chassis.transaction import Transaction
from services.leaders.commands.remind import Asked
from services.leaders.domain import call as domain
from services.leaders.repository import calls, facts
from taiwa_contracts.leaders import NominationRejectedV1


@dataclass(frozen=True, slots=True)
class SendBack:
    """``reason`` is free text for the section's head; it stays here and travels in no event."""

    section_call_id: UUID
    reason: str


async def send_back(tx: Transaction, command: SendBack) -> Asked:
    """Open the section's call anew.

    Raises:
        NotFound, NotAwaitingDecision: see their sentences.
    """
    connection, municipality = tx.connection, tx.municipality
    call = await calls.load_section_call(connection, municipality, command.section_call_id)
    open_until = domain.answer_by(call, None, tx.today, await facts.closed_days(connection, municipality))
    asked = domain.send_back(call, open_until)
    head = await facts.head_on(connection, municipality, call.section_id, tx.today)
    await calls.save_section_calls(connection, municipality, [call], [asked], tx.now)
    await calls.settle_nominations(connection, municipality, call.nominations, "sent_back")
    await calls.add_requests(connection, municipality, [asked], [head], requested_at=tx.now, reason=command.reason)
    tx.emit(
        NominationRejectedV1(
            section_call_id=call.section_call_id,
            fiscal_year=call.fiscal_year,
            section_id=call.section_id,
            nomination_ids=[nomination.nomination_id for nomination in call.nominations],
            head_person_id=head,
            closes_on=asked.open_until,
        ),
        version=asked.version,
    )
    return Asked(
        section_call_id=asked.section_call_id, state=asked.state, open_until=asked.open_until, version=asked.version
    )

"""Ask one section again (声かけ): a late one, or one that has lost its leaders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction
from services.leaders.commands.open_call import request_nomination
from services.leaders.domain import call as domain
from services.leaders.repository import appointments, calls, facts


@dataclass(frozen=True, slots=True)
class Remind:
    """``answer_by``: until when the section may answer; none: see ``domain.call.answer_by``."""

    section_call_id: UUID
    answer_by: date | None = None


class Asked(BaseModel):
    """The section was asked; it may answer until ``open_until`` (inclusive)."""

    section_call_id: UUID
    state: str
    open_until: date
    version: int


async def remind(tx: Transaction, command: Remind) -> Asked:
    """Publish the request again.

    Raises:
        NotFound, AlreadyAnswered, EnoughLeaders, NotAsked, ClosingDateInvalid: see their sentences.
    """
    connection, municipality = tx.connection, tx.municipality
    call = await calls.load_section_call(connection, municipality, command.section_call_id)
    rules = await facts.rules_on(connection, municipality, tx.today)
    leaders = await appointments.leaders_of_year(connection, municipality, call.section_id, call.fiscal_year)
    open_until = domain.answer_by(call, command.answer_by, tx.today, await facts.closed_days(connection, municipality))
    asked = domain.remind(call, open_until, enough_leaders=len(leaders) >= rules.leaders_per_section)
    head = await facts.head_on(connection, municipality, call.section_id, tx.today)
    await calls.save_section_calls(connection, municipality, [call], [asked], tx.now)
    await calls.add_requests(connection, municipality, [asked], [head], requested_at=tx.now)
    request_nomination(tx, asked, head)
    return Asked(
        section_call_id=asked.section_call_id, state=asked.state, open_until=asked.open_until, version=asked.version
    )

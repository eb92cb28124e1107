"""Transfers, absences and departures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.transaction import Connection
from services.directory.domain.people import Change
from services.directory.domain.transfers import Absence, Departure, Transfer

LOCK_TRANSFER = """
SELECT transfer_id, person_id, from_section_id, to_section_id, post, concurrent_section_ids AS concurrent,
       effective_from, state
FROM transfers WHERE municipality = $1 AND transfer_id = $2 FOR UPDATE
"""

UPSERT_TRANSFER = """
INSERT INTO transfers (municipality, transfer_id, person_id, from_section_id, to_section_id, post,
                       concurrent_section_ids, effective_from, state, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (municipality, transfer_id) DO UPDATE
SET state = excluded.state, from_section_id = excluded.from_section_id
"""

INSERT_TRANSFERS = """
INSERT INTO transfers (municipality, transfer_id, person_id, from_section_id, to_section_id, post,
                       concurrent_section_ids, effective_from, state, recorded_at)
SELECT $1, t.transfer_id, t.person_id, t.from_section_id, t.to_section_id, t.post, t.concurrent::uuid[],
       t.effective_from, 'effective', $9
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::date[])
     AS t (transfer_id, person_id, from_section_id, to_section_id, post, concurrent, effective_from)
"""

CANCEL_PLANNED = """
UPDATE transfers SET state = 'cancelled' WHERE municipality = $1 AND person_id = $2 AND state = 'planned'
RETURNING transfer_id
"""

LOCK_ABSENCE = """
SELECT absence_id, person_id, from_on, until_on, withdrawn_at IS NOT NULL AS withdrawn
FROM absences WHERE municipality = $1 AND absence_id = $2 FOR UPDATE
"""

INSERT_ABSENCE = """
INSERT INTO absences (municipality, absence_id, person_id, from_on, until_on) VALUES ($1, $2, $3, $4, $5)
"""

WITHDRAW_ABSENCE = "UPDATE absences SET withdrawn_at = $3 WHERE municipality = $1 AND absence_id = $2"

LOCK_DEPARTURE = """
SELECT departure_id, person_id, effective_from, state
FROM departures WHERE municipality = $1 AND departure_id = $2 FOR UPDATE
"""

SELECT_PLANNED_DEPARTURE = """
SELECT departure_id FROM departures WHERE municipality = $1 AND person_id = $2 AND state = 'planned'
"""

UPSERT_DEPARTURE = """
INSERT INTO departures (municipality, departure_id, person_id, effective_from, state) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (municipality, departure_id) DO UPDATE SET state = excluded.state
"""


def _transfer(row: Any) -> Transfer:
    return Transfer(**{**dict(row), "concurrent": tuple(row["concurrent"])})


async def lock_transfer(connection: Connection, municipality: str, transfer_id: UUID) -> Transfer | None:
    """One transfer, locked."""
    row = await connection.fetchrow(LOCK_TRANSFER, municipality, transfer_id)
    return _transfer(row) if row else None


async def save_transfer(connection: Connection, municipality: str, transfer: Transfer, now: datetime) -> None:
    """Insert a transfer, or save its state."""
    await connection.execute(
        UPSERT_TRANSFER,
        municipality,
        transfer.transfer_id,
        transfer.person_id,
        transfer.from_section_id,
        transfer.to_section_id,
        transfer.post,
        list(transfer.concurrent),
        transfer.effective_from,
        transfer.state,
        now,
    )


async def insert_transfers(connection: Connection, municipality: str, changes: Sequence[Change], now: datetime) -> None:
    """Note the transfers that an import found, so that each can be taken back."""
    found = [
        (
            change.transfer_id,
            change.after.person_id,
            change.before.posting.section_id,
            change.after.posting.section_id,
            change.after.posting.post,
            "{" + ",".join(map(str, change.after.posting.concurrent)) + "}",
            change.effective_from,
        )
        for change in changes
        if change.kind == "transferred" and change.before is not None
    ]
    if found:
        await connection.execute(INSERT_TRANSFERS, municipality, *map(list, zip(*found, strict=True)), now)


async def cancel_planned(connection: Connection, municipality: str, person_id: UUID) -> list[UUID]:
    """Cancel what was planned for somebody who leaves; gives the transfers."""
    return [row["transfer_id"] for row in await connection.fetch(CANCEL_PLANNED, municipality, person_id)]


async def lock_absence(connection: Connection, municipality: str, absence_id: UUID) -> Absence | None:
    """One absence, locked."""
    row = await connection.fetchrow(LOCK_ABSENCE, municipality, absence_id)
    return Absence(**dict(row)) if row else None


async def insert_absence(connection: Connection, municipality: str, absence: Absence) -> None:
    """Note an absence."""
    await connection.execute(
        INSERT_ABSENCE, municipality, absence.absence_id, absence.person_id, absence.from_on, absence.until_on
    )


async def withdraw_absence(connection: Connection, municipality: str, absence_id: UUID, now: datetime) -> None:
    """Take an absence back."""
    await connection.execute(WITHDRAW_ABSENCE, municipality, absence_id, now)


async def lock_departure(connection: Connection, municipality: str, departure_id: UUID) -> Departure | None:
    """One departure, locked."""
    row = await connection.fetchrow(LOCK_DEPARTURE, municipality, departure_id)
    return Departure(**dict(row)) if row else None


async def planned_departure(connection: Connection, municipality: str, person_id: UUID) -> UUID | None:
    """The planned departure of a person, if there is one."""
    departure_id: UUID | None = await connection.fetchval(SELECT_PLANNED_DEPARTURE, municipality, person_id)
    return departure_id


async def save_departure(connection: Connection, municipality: str, departure: Departure) -> None:
    """Insert a departure, or save its state."""
    await connection.execute(
        UPSERT_DEPARTURE,
        municipality,
        departure.departure_id,
        departure.person_id,
        departure.effective_from,
        departure.state,
    )

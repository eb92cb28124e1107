"""Appointments: the present reading in ``appointments``, every reading in ``appointment_records``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import asyncpg

from chassis.refusals import ConcurrentChange, NotFound
from chassis.transaction import Connection
from services.leaders.domain.appointment import Appointment, Decision, Deputy, End

What = Literal["appointed", "corrected", "extended", "ended", "deputy_named", "deputy_ended"]

_ADD = """
INSERT INTO appointments (municipality, appointment_id, section_call_id, section_id, person_id, fiscal_year, word,
                          starts_on, ends_on, withdrawn, decided_on, decided_by_post, document_number,
                          entered_by, entered_at, version)
SELECT $1, it.appointment_id, it.section_call_id, it.section_id, it.person_id, it.fiscal_year, it.word,
       it.starts_on, it.ends_on, false, it.decided_on, it.decided_by_post, it.document_number, $2, $3, it.version
FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::int[], $9::text[], $10::date[], $11::date[],
            $12::date[], $13::text[], $14::text[], $15::bigint[])
     AS it (appointment_id, section_call_id, section_id, person_id, fiscal_year, word, starts_on, ends_on,
            decided_on, decided_by_post, document_number, version)
"""


async def add_appointments(
    connection: Connection, municipality: str, appointments: Sequence[Appointment], entered_by: str, now: datetime
) -> None:
    """Store new appointments; ``entered_by`` typed the decision in, at ``now``."""
    await connection.execute(
        _ADD,
        municipality,
        entered_by,
        now,
        [each.appointment_id for each in appointments],
        [each.section_call_id for each in appointments],
        [each.section_id for each in appointments],
        [each.person_id for each in appointments],
        [each.fiscal_year for each in appointments],
        [each.word for each in appointments],
        [each.starts_on for each in appointments],
        [each.ends_on for each in appointments],
        [each.decision.decided_on for each in appointments],
        [each.decision.decided_by_post for each in appointments],
        [each.decision.document_number for each in appointments],
        [each.version for each in appointments],
    )
    await record(connection, municipality, appointments, "appointed", recorded_by=entered_by, now=now)


_RECORD = """
INSERT INTO appointment_records (municipality, appointment_id, version, what, starts_on, ends_on, decided_on,
                                 decided_by_post, document_number, withdrawn, reason, recorded_by, recorded_at)
SELECT $1, it.appointment_id, it.version, $2, it.starts_on, it.ends_on, it.decided_on,
       it.decided_by_post, it.document_number, it.withdrawn, it.reason, $3, $4
FROM unnest($5::uuid[], $6::bigint[], $7::date[], $8::date[], $9::date[], $10::text[], $11::text[], $12::bool[],
            $13::text[])
     AS it (appointment_id, version, starts_on, ends_on, decided_on, decided_by_post, document_number, withdrawn,
            reason)
"""


async def record(
    connection: Connection,
    municipality: str,
    appointments: Sequence[Appointment],
    what: What,
    *,
    recorded_by: str,
    now: datetime,
) -> None:
    """Keep how the appointments read at their present versions, what happened, who recorded it and when."""
    await connection.execute(
        _RECORD,
        municipality,
        what,
        recorded_by,
        now,
        [each.appointment_id for each in appointments],
        [each.version for each in appointments],
        [each.starts_on for each in appointments],
        [each.last_day for each in appointments],
        [each.decision.decided_on for each in appointments],
        [each.decision.decided_by_post for each in appointments],
        [each.decision.document_number for each in appointments],
        [each.withdrawn for each in appointments],
        [each.end.reason if each.end else None for each in appointments],
    )


_COLUMNS = """
SELECT it.appointment_id, it.section_call_id, it.section_id, it.person_id, it.fiscal_year, it.word, it.starts_on,
       it.ends_on, it.serves_on_from, it.ended_from, it.end_reason, it.end_cause, it.planned_end_from,
       it.planned_end_reason, it.planned_end_cause, it.withdrawn, it.decided_on, it.decided_by_post,
       it.document_number, it.version,
       deputy.deputy_id, deputy.person_id AS deputy_person_id, deputy.from_on AS deputy_from_on,
       deputy.until_on AS deputy_until_on
FROM appointments AS it
LEFT JOIN deputies AS deputy
       ON deputy.municipality = it.municipality AND deputy.appointment_id = it.appointment_id
      AND deputy.ended_from IS NULL
"""
_LOCKED = "ORDER BY it.appointment_id FOR UPDATE OF it"
_NOT_OVER = "NOT it.withdrawn AND it.ended_from IS NULL"


async def load_appointment(connection: Connection, municipality: str, appointment_id: UUID) -> Appointment:
    """One appointment with its deputy, locked.

    Raises:
        NotFound: it is not there.
    """
    sql = f"{_COLUMNS} WHERE it.municipality = $1 AND it.appointment_id = $2 {_LOCKED}"
    row = await connection.fetchrow(sql, municipality, appointment_id)
    if row is None:
        raise NotFound
    return _appointment(row)


async def section_of(connection: Connection, municipality: str, appointment_id: UUID) -> UUID:
    """The section of an appointment.

    Raises:
        NotFound: it is not there.
    """
    sql = "SELECT section_id FROM appointments WHERE municipality = $1 AND appointment_id = $2"
    section_id: UUID | None = await connection.fetchval(sql, municipality, appointment_id)
    if section_id is None:
        raise NotFound
    return section_id


async def appointments_of_person(connection: Connection, municipality: str, person_id: UUID) -> list[Appointment]:
    """Every appointment of a person, locked."""
    sql = f"{_COLUMNS} WHERE it.municipality = $1 AND it.person_id = $2 {_LOCKED}"
    return [_appointment(row) for row in await connection.fetch(sql, municipality, person_id)]


async def appointments_with_deputy(connection: Connection, municipality: str, person_id: UUID) -> list[Appointment]:
    """The appointments in which a person stands in, locked."""
    sql = f"{_COLUMNS} WHERE it.municipality = $1 AND deputy.person_id = $2 AND {_NOT_OVER} {_LOCKED}"
    return [_appointment(row) for row in await connection.fetch(sql, municipality, person_id)]


async def appointments_of_section(connection: Connection, municipality: str, section_id: UUID) -> list[Appointment]:
    """The appointments of a section that are not over, locked."""
    sql = f"{_COLUMNS} WHERE it.municipality = $1 AND it.section_id = $2 AND {_NOT_OVER} {_LOCKED}"
    return [_appointment(row) for row in await connection.fetch(sql, municipality, section_id)]


async def predecessors(
    connection: Connection, municipality: str, section_ids: Sequence[UUID], fiscal_year: int, day: date
) -> list[Appointment]:
    """The appointments of earlier fiscal years that are in office in these sections on a day, locked."""
    sql = f"""{_COLUMNS} WHERE it.municipality = $1 AND it.section_id = ANY($2) AND it.fiscal_year < $3 AND {_NOT_OVER}
    AND (it.serves_on_from IS NOT NULL OR it.ends_on >= $4) {_LOCKED}"""
    return [_appointment(row) for row in await connection.fetch(sql, municipality, section_ids, fiscal_year, day)]


_LEADERS_OF_YEAR = """
SELECT person_id FROM appointments
WHERE municipality = $1 AND section_id = $2 AND fiscal_year = $3 AND NOT withdrawn AND ended_from IS NULL
"""


async def leaders_of_year(
    connection: Connection, municipality: str, section_id: UUID, fiscal_year: int
) -> frozenset[UUID]:
    """Who is, or will be, a section's leader by an appointment of that fiscal year."""
    rows = await connection.fetch(_LEADERS_OF_YEAR, municipality, section_id, fiscal_year)
    return frozenset(row["person_id"] for row in rows)


_HAS_SUCCESSOR = """
SELECT EXISTS (
    SELECT FROM appointments
    WHERE municipality = $1 AND section_id = $2 AND fiscal_year > $3 AND starts_on <= $4
      AND NOT withdrawn AND ended_from IS NULL
)
"""


async def has_successor(connection: Connection, municipality: str, appointment: Appointment, day: date) -> bool:
    """Whether somebody of a later fiscal year is the section's leader on that day."""
    return bool(
        await connection.fetchval(_HAS_SUCCESSOR, municipality, appointment.section_id, appointment.fiscal_year, day)
    )


def _appointment(row: asyncpg.Record) -> Appointment:
    return Appointment(
        appointment_id=row["appointment_id"],
        section_call_id=row["section_call_id"],
        section_id=row["section_id"],
        person_id=row["person_id"],
        fiscal_year=row["fiscal_year"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        word=row["word"],
        decision=Decision(row["decided_on"], row["decided_by_post"], row["document_number"]),
        serves_on_from=row["serves_on_from"],
        end=_end(row["ended_from"], row["end_reason"], row["end_cause"]),
        planned_end=_end(row["planned_end_from"], row["planned_end_reason"], row["planned_end_cause"]),
        withdrawn=row["withdrawn"],
        deputy=None
        if row["deputy_id"] is None
        else Deputy(row["deputy_id"], row["deputy_person_id"], row["deputy_from_on"], row["deputy_until_on"]),
        version=row["version"],
    )


def _end(effective_from: date | None, reason: str | None, cause: UUID | None) -> End | None:
    return None if effective_from is None else End(effective_from, reason, cause)  # type: ignore[arg-type]  # CHECKed by the table


_SAVE = """
UPDATE appointments
SET starts_on = $4, ends_on = $5, serves_on_from = $6, ended_from = $7, end_reason = $8, end_cause = $9,
    planned_end_from = $10, planned_end_reason = $11, planned_end_cause = $12, withdrawn = $13,
    decided_on = $14, decided_by_post = $15, document_number = $16, version = $17
WHERE municipality = $1 AND appointment_id = $2 AND version = $3
"""


async def save_appointment(connection: Connection, municipality: str, before: Appointment, after: Appointment) -> None:
    """Store a changed appointment.

    Raises:
        ConcurrentChange: it is not at the version it was loaded with.
    """
    end, plan = after.end, after.planned_end
    saved = await connection.execute(
        _SAVE,
        municipality,
        after.appointment_id,
        before.version,
        after.starts_on,
        after.ends_on,
        after.serves_on_from,
        end and end.effective_from,
        end and end.reason,
        end and end.cause,
        plan and plan.effective_from,
        plan and plan.reason,
        plan and plan.cause,
        after.withdrawn,
        after.decision.decided_on,
        after.decision.decided_by_post,
        after.decision.document_number,
        after.version,
    )
    if saved != "UPDATE 1":
        raise ConcurrentChange


_ADD_DEPUTY = """
INSERT INTO deputies (municipality, deputy_id, appointment_id, person_id, from_on, until_on)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def add_deputy(connection: Connection, municipality: str, appointment_id: UUID, deputy: Deputy) -> None:
    """Store a deputy."""
    await connection.execute(
        _ADD_DEPUTY, municipality, deputy.deputy_id, appointment_id, deputy.person_id, deputy.from_on, deputy.until_on
    )


async def end_deputy(connection: Connection, municipality: str, deputy: Deputy, ended_from: date) -> None:
    """A deputy stands in no longer from that day."""
    sql = "UPDATE deputies SET ended_from = $3 WHERE municipality = $1 AND deputy_id = $2"
    await connection.execute(sql, municipality, deputy.deputy_id, ended_from)

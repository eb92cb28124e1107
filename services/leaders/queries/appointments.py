"""Appointments: the list of leaders, and one appointment with every reading it ever had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from chassis.refusals import NotFound
from services.leaders.queries.parts import DecisionView, DeputyView, deputy_of


class AppointmentView(BaseModel):
    """A period record: who is a section's leader from when to when."""

    appointment_id: UUID
    section_call_id: UUID
    fiscal_year: int
    section_id: UUID
    section_name: str
    person_id: UUID
    name: str | None
    word: str
    starts_on: date
    ends_on: date | None = Field(description="the last day, inclusive; null: serves on until a successor is chosen")
    serves_on_from: date | None
    end_reason: str | None
    planned_end_from: date | None = Field(description="no longer leader from that day, which is still to come")
    planned_end_reason: str | None
    withdrawn: bool = Field(description="recorded wrongly: it never was")
    in_office: bool = Field(description="today")
    decision: DecisionView
    deputy: DeputyView | None
    version: int


class RecordView(BaseModel):
    """How an appointment read from one moment on, what happened, and who recorded it."""

    version: int
    what: str = Field(description="appointed, corrected, extended, ended, deputy_named, deputy_ended")
    starts_on: date
    ends_on: date | None
    decision: DecisionView
    withdrawn: bool
    reason: str | None
    recorded_by: str = Field(description="a person's id, or the name of the timer or reaction")
    recorded_by_name: str | None
    recorded_at: datetime


class AppointmentDetail(AppointmentView):
    """One appointment; ``records`` are its readings, the oldest first."""

    entered_by: str
    entered_by_name: str | None
    entered_at: datetime
    records: list[RecordView]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which appointments; ``None`` leaves a filter out. ``current``: in office today (or not)."""

    fiscal_year: int | None = None
    section_id: UUID | None = None
    person_id: UUID | None = None
    current: bool | None = None


_APPOINTMENTS = """
WITH it AS (
    SELECT *, CASE WHEN ended_from IS NOT NULL THEN ended_from - 1 WHEN serves_on_from IS NOT NULL THEN NULL
                   ELSE ends_on END AS last_day
    FROM appointments WHERE municipality = $1
), judged AS (
    SELECT *, NOT withdrawn AND starts_on <= $2 AND (last_day IS NULL OR last_day >= $2) AS in_office FROM it
)
SELECT it.appointment_id, it.section_call_id, it.fiscal_year, it.section_id,
       coalesce(name.name, section.code, '') AS section_name, it.person_id, person.name, it.word, it.starts_on,
       it.last_day AS ends_on, it.serves_on_from, it.end_reason, it.planned_end_from, it.planned_end_reason,
       it.withdrawn, it.in_office, it.decided_on, it.decided_by_post, it.document_number, it.version,
       it.entered_by, it.entered_at, typist.name AS entered_by_name,
       deputy.person_id AS deputy_person_id, deputy_name.name AS deputy_name, deputy.from_on AS deputy_from_on,
       deputy.until_on AS deputy_until_on
FROM judged AS it
LEFT JOIN sections AS section ON section.municipality = it.municipality AND section.section_id = it.section_id
LEFT JOIN section_names AS name
       ON name.municipality = it.municipality AND name.section_id = it.section_id
      AND name.from_on <= $2 AND (name.until_on IS NULL OR name.until_on >= $2)
LEFT JOIN people AS person ON person.municipality = it.municipality AND person.person_id = it.person_id
LEFT JOIN people AS typist ON typist.municipality = it.municipality AND typist.person_id::text = it.entered_by
LEFT JOIN deputies AS deputy
       ON deputy.municipality = it.municipality AND deputy.appointment_id = it.appointment_id
      AND deputy.ended_from IS NULL
LEFT JOIN people AS deputy_name
       ON deputy_name.municipality = it.municipality AND deputy_name.person_id = deputy.person_id
"""

_LIST = f"""{_APPOINTMENTS}
WHERE ($3::int IS NULL OR it.fiscal_year = $3) AND ($4::uuid IS NULL OR it.section_id = $4)
  AND ($5::uuid IS NULL OR it.person_id = $5) AND ($6::bool IS NULL OR it.in_office = $6)
  AND ($7::int IS NULL OR (-it.fiscal_year, it.appointment_id) > (-$7, $8::uuid))
ORDER BY it.fiscal_year DESC, it.appointment_id LIMIT $9
"""


async def appointments(view: View, wanted: Wanted, paging: PageRequest) -> Page[AppointmentView]:
    """Appointments, the newest fiscal year first."""
    year, appointment_id = paging.last(int, UUID) or (None, None)
    rows = await view.connection.fetch(
        _LIST,
        view.municipality,
        view.today,
        wanted.fiscal_year,
        wanted.section_id,
        wanted.person_id,
        wanted.current,
        year,
        appointment_id,
        paging.limit + 1,
    )
    page, cursor = page_of(rows, paging, lambda row: (row["fiscal_year"], row["appointment_id"]))
    return Page[AppointmentView](items=[AppointmentView(**_fields(row)) for row in page], next_cursor=cursor)


def _fields(row: asyncpg.Record) -> dict[str, object]:
    own = {name: row[name] for name in AppointmentView.model_fields if name in row}
    return {**own, "decision": _decision(row), "deputy": deputy_of(row)}


def _decision(row: asyncpg.Record) -> DecisionView:
    return DecisionView(
        decided_on=row["decided_on"], decided_by_post=row["decided_by_post"], document_number=row["document_number"]
    )


_RECORDS = """
SELECT record.version, record.what, record.starts_on, record.ends_on, record.decided_on, record.decided_by_post,
       record.document_number, record.withdrawn, record.reason, record.recorded_by, record.recorded_at,
       person.name AS recorded_by_name
FROM appointment_records AS record
LEFT JOIN people AS person ON person.municipality = record.municipality AND person.person_id::text = record.recorded_by
WHERE record.municipality = $1 AND record.appointment_id = $2
ORDER BY record.version
"""


async def appointment(view: View, appointment_id: UUID) -> AppointmentDetail:
    """One appointment with its readings.

    Raises:
        NotFound: it is not there.
    """
    sql = f"{_APPOINTMENTS} WHERE it.appointment_id = $3"
    row = await view.connection.fetchrow(sql, view.municipality, view.today, appointment_id)
    if row is None:
        raise NotFound
    records = [
        RecordView(**{name: each[name] for name in RecordView.model_fields if name in each}, decision=_decision(each))
        for each in await view.connection.fetch(_RECORDS, view.municipality, appointment_id)
    ]
    return AppointmentDetail(
        **_fields(row),
        entered_by=row["entered_by"],
        entered_by_name=row["entered_by_name"],
        entered_at=row["entered_at"],
        records=records,
    )

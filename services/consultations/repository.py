"""SQL of the write side, and the foreign facts a decision needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from uuid import UUID

from chassis.refusals import ConcurrentChange
from chassis.service import Key
from chassis.transaction import Connection
from services.consultations.domain.calendar import Calendar
from services.consultations.domain.consultation import Consultation
from services.consultations.domain.routing import DESKS, Category
from taiwa_contracts.consultations import ConsultationTextV1, Desk

COLUMNS = ", ".join(field.name for field in fields(Consultation))

_LOAD = f"SELECT {COLUMNS} FROM consultations WHERE municipality = $1 AND consultation_id = $2"

_INSERT = """
INSERT INTO consultations (municipality, consultation_id, number, title, category, desk, requester_person_id,
                           section_id, state, opened_at, changed_at, answer_due_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

_UPDATE = """
UPDATE consultations
SET desk = $4, state = $5, assignee_person_id = $6, changed_at = $7, answer_due_at = $8, first_replied_at = $9,
    first_answered_at = $10, resolved_at = $11, resolved_by_person_id = $12, version = $13
WHERE municipality = $1 AND consultation_id = $2 AND version = $3
RETURNING version
"""

_INSERT_ENTRY = """
INSERT INTO entries (municipality, entry_id, consultation_id, kind, author_person_id, body, written_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

_NEXT_ORDINAL = """
INSERT INTO consultation_ordinals (municipality, fiscal_year, last_ordinal) VALUES ($1, $2, 1)
ON CONFLICT (municipality, fiscal_year) DO UPDATE SET last_ordinal = consultation_ordinals.last_ordinal + 1
RETURNING last_ordinal
"""

_CATEGORIES = "SELECT code, label, desk FROM categories WHERE municipality = $1 ORDER BY code"

_SAVE_CATEGORY = """
INSERT INTO categories (municipality, code, label, desk) VALUES ($1, $2, $3, $4)
ON CONFLICT (municipality, code) DO UPDATE SET label = excluded.label, desk = excluded.desk
"""

_CALENDARS = "SELECT fiscal_year, closed_days, closes_at FROM calendars WHERE municipality = $1"

_SECTION_OF = "SELECT section_id FROM people WHERE municipality = $1 AND person_id = $2"

_DESKS_OF = """
SELECT DISTINCT desk FROM desk_members
WHERE municipality = $1 AND person_id = $2 AND from_on <= $3 AND (until_on IS NULL OR until_on >= $3)
"""

_TEXTS = """
SELECT entries.municipality, entries.entry_id, entries.consultation_id, entries.body, entries.text_version
FROM unnest($1::text[], $2::uuid[]) AS wanted (municipality, entry_id)
JOIN entries USING (municipality, entry_id)
WHERE entries.kind <> 'note'
"""


async def load_consultation(connection: Connection, municipality: str, consultation_id: UUID) -> Consultation | None:
    """The case as it stands. Not locked: :func:`save_consultation` refuses when it changed meanwhile."""
    row = await connection.fetchrow(_LOAD, municipality, consultation_id)
    return Consultation(**row) if row else None


async def add_consultation(connection: Connection, municipality: str, it: Consultation) -> None:
    """Store a new case."""
    await connection.execute(
        _INSERT,
        municipality,
        it.consultation_id,
        it.number,
        it.title,
        it.category,
        it.desk,
        it.requester_person_id,
        it.section_id,
        it.state,
        it.opened_at,
        it.changed_at,
        it.answer_due_at,
        it.version,
    )


async def save_consultation(connection: Connection, municipality: str, before: Consultation, it: Consultation) -> None:
    """Replace ``before`` by its successor.

    Raises:
        ConcurrentChange: somebody else replaced it first.
    """
    saved = await connection.fetchval(
        _UPDATE,
        municipality,
        it.consultation_id,
        before.version,
        it.desk,
        it.state,
        it.assignee_person_id,
        it.changed_at,
        it.answer_due_at,
        it.first_replied_at,
        it.first_answered_at,
        it.resolved_at,
        it.resolved_by_person_id,
        it.version,
    )
    if saved is None:
        raise ConcurrentChange


async def add_entry(
    connection: Connection,
    municipality: str,
    *,
    entry_id: UUID,
    consultation_id: UUID,
    kind: str,
    author_person_id: UUID,
    body: str,
    written_at: datetime,
) -> None:
    """Append one entry to a case."""
    await connection.execute(
        _INSERT_ENTRY, municipality, entry_id, consultation_id, kind, author_person_id, body, written_at
    )


async def next_ordinal(connection: Connection, municipality: str, fiscal_year: int) -> int:
    """The next number of the year. Locks the town's counter until the commit, so ask for it last."""
    ordinal: int = await connection.fetchval(_NEXT_ORDINAL, municipality, fiscal_year)
    return ordinal


async def own_categories(connection: Connection, municipality: str) -> list[Category]:
    """The categories a town changed or added."""
    return [Category(**row) for row in await connection.fetch(_CATEGORIES, municipality)]


async def save_category(connection: Connection, municipality: str, category: Category) -> None:
    """Change or add a category."""
    await connection.execute(_SAVE_CATEGORY, municipality, category.code, category.label, category.desk)


async def calendar_of(connection: Connection, municipality: str) -> Calendar:
    """All that is known of the town's calendar."""
    rows = await connection.fetch(_CALENDARS, municipality)
    return Calendar(
        frozenset(day for row in rows for day in row["closed_days"]),
        {row["fiscal_year"]: row["closes_at"] for row in rows},
    )


async def section_of(connection: Connection, municipality: str, person_id: UUID) -> UUID | None:
    """The section of a person, as this service knows it."""
    section: UUID | None = await connection.fetchval(_SECTION_OF, municipality, person_id)
    return section


async def desks_of(connection: Connection, municipality: str, person_id: UUID, day: date) -> frozenset[Desk]:
    """The desks a person belongs to on a day."""
    found = {row["desk"] for row in await connection.fetch(_DESKS_OF, municipality, person_id, day)}
    return frozenset(desk for desk in DESKS if desk in found)


async def read_texts(connection: Connection, keys: Sequence[Key]) -> Mapping[Key, str]:
    """Present texts for the relay, as :class:`ConsultationTextV1` JSON; notes are not among them."""
    ids = [UUID(aggregate.partition("/")[2]) for _, aggregate in keys]
    rows = await connection.fetch(_TEXTS, [municipality for municipality, _ in keys], ids)
    return {
        (row["municipality"], f"{ConsultationTextV1.AGGREGATE}/{row['entry_id']}"): ConsultationTextV1(
            state_version=row["text_version"],
            entry_id=row["entry_id"],
            consultation_id=row["consultation_id"],
            body=row["body"],
        ).write()
        for row in rows
    }

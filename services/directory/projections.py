"""Copies of foreign facts: who is a leader from when to when, for the role ``leader``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from chassis.service import Received
from chassis.transaction import Connection
from services.directory.domain.terms import Term, TermFact, fold

SELECT_TERMS = """
SELECT appointment_id, person_id, section_id, from_on, until_on, withdrawn
FROM leader_terms WHERE municipality = $1 AND appointment_id = ANY($2::uuid[])
"""

UPSERT_TERMS = """
INSERT INTO leader_terms (municipality, appointment_id, person_id, section_id, from_on, until_on, withdrawn)
SELECT $1, t.* FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::date[], $6::date[], $7::boolean[]) AS t
ON CONFLICT (municipality, appointment_id) DO UPDATE
SET person_id = excluded.person_id, section_id = excluded.section_id, from_on = excluded.from_on,
    until_on = excluded.until_on, withdrawn = excluded.withdrawn
"""


async def apply_leader_terms(connection: Connection, records: Sequence[Received[TermFact]]) -> None:
    """Keep the period of each appointment as the facts say it now."""
    by_town: dict[str, list[TermFact]] = defaultdict(list)
    for record in records:
        by_town[record.municipality].append(record.event)
    for municipality, facts in by_town.items():
        known = await _known(connection, municipality, [fact.appointment_id for fact in facts])
        await _save(connection, municipality, list(fold(known, facts).values()))


async def _known(connection: Connection, municipality: str, appointment_ids: list[UUID]) -> dict[UUID, Term]:
    rows = await connection.fetch(SELECT_TERMS, municipality, appointment_ids)
    return {row["appointment_id"]: Term(**dict(row)) for row in rows}


async def _save(connection: Connection, municipality: str, terms: Sequence[Term]) -> None:
    await connection.execute(
        UPSERT_TERMS,
        municipality,
        [term.appointment_id for term in terms],
        [term.person_id for term in terms],
        [term.section_id for term in terms],
        [term.from_on for term in terms],
        [term.until_on for term in terms],
        [term.withdrawn for term in terms],
    )

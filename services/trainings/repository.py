"""SQL of the write side, and the foreign facts a decision needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from chassis.refusals import ConcurrentChange
from chassis.transaction import Connection
from services.trainings.domain import Completion, Programme

_ADD_PROGRAMME = """
INSERT INTO programmes (municipality, programme_id, title, summary, added_at, added_by_person_id)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (municipality, title) DO NOTHING
RETURNING programme_id
"""

_LOAD_PROGRAMME = "SELECT programme_id, title, summary FROM programmes WHERE municipality = $1 AND programme_id = $2"

_KNOWN = "SELECT person_id, has_left FROM people WHERE municipality = $1 AND person_id = ANY ($2::uuid[])"

# The programme's row is locked by the caller's load, so two records of one programme do not race here.
_DONE = """
SELECT person_id FROM completions
WHERE municipality = $1 AND programme_id = $2 AND completed_on = $3 AND person_id = ANY ($4::uuid[])
  AND revoked_at IS NULL
"""

_ADD_COMPLETIONS = """
INSERT INTO completions (municipality, completion_id, programme_id, person_id, completed_on, source, recorded_at,
                         recorded_by_person_id, version)
SELECT $1, made.completion_id, $2, made.person_id, $3, $4, $5, $6, 1
FROM unnest($7::uuid[], $8::uuid[]) AS made (completion_id, person_id)
"""

_LOAD_COMPLETION = """
SELECT completion_id, programme_id, person_id, completed_on, source, revoked_at, version
FROM completions WHERE municipality = $1 AND completion_id = $2
"""

_REVOKE = """
UPDATE completions SET revoked_at = $4, revoked_by_person_id = $5, version = $6
WHERE municipality = $1 AND completion_id = $2 AND version = $3
RETURNING version
"""


async def add_programme(connection: Connection, municipality: str, programme: Programme, at: datetime, by: str) -> bool:
    """Store a programme; false where its title is taken."""
    added = await connection.fetchval(
        _ADD_PROGRAMME, municipality, programme.programme_id, programme.title, programme.summary, at, by
    )
    return added is not None


async def load_programme(
    connection: Connection, municipality: str, programme_id: UUID, *, lock: bool = False
) -> Programme | None:
    """A programme; ``lock`` keeps others from recording its completions until the transaction ends."""
    row = await connection.fetchrow(
        f"{_LOAD_PROGRAMME} FOR UPDATE" if lock else _LOAD_PROGRAMME, municipality, programme_id
    )
    return Programme(**row) if row else None


async def known_people(connection: Connection, municipality: str, people: Sequence[UUID]) -> dict[UUID, bool]:
    """Person → has left, of those on the roster."""
    rows = await connection.fetch(_KNOWN, municipality, people)
    return {row["person_id"]: row["has_left"] for row in rows}


async def people_done(
    connection: Connection, municipality: str, programme_id: UUID, completed_on: date, people: Sequence[UUID]
) -> set[UUID]:
    """Who of these people has a completion of that programme and day."""
    rows = await connection.fetch(_DONE, municipality, programme_id, completed_on, people)
    return {row["person_id"] for row in rows}


async def add_completions(
    connection: Connection, municipality: str, made: Sequence[Completion], at: datetime, by: str
) -> None:
    """Store completions of one programme, day and source."""
    first = made[0]
    await connection.execute(
        _ADD_COMPLETIONS,
        municipality,
        first.programme_id,
        first.completed_on,
        first.source,
        at,
        by,
        [each.completion_id for each in made],
        [each.person_id for each in made],
    )


async def load_completion(connection: Connection, municipality: str, completion_id: UUID) -> Completion | None:
    """A completion as it stands. Not locked: :func:`save_revocation` refuses when it changed meanwhile."""
    row = await connection.fetchrow(_LOAD_COMPLETION, municipality, completion_id)
    return Completion(**row) if row else None


async def save_revocation(
    connection: Connection, municipality: str, before: Completion, after: Completion, by: str
) -> None:
    """Replace ``before`` by its revoked successor.

    Raises:
        ConcurrentChange: somebody else revoked it first.
    """
    saved = await connection.fetchval(
        _REVOKE, municipality, after.completion_id, before.version, after.revoked_at, by, after.version
    )
    if saved is None:
        raise ConcurrentChange

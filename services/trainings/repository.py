"""SQL of the write side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from chassis.refusals import ConcurrentChange, NotFound
from chassis.transaction import Connection
from services.trainings.domain import AlreadyCompleted, Completion, ProgrammeUnknown

_ADD_PROGRAMME = """
INSERT INTO programmes (municipality, programme_id, title, summary, offered_by, offered_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def add_programme(
    connection: Connection,
    municipality: str,
    programme_id: UUID,
    *,
    title: str,
    summary: str,
    offered_by: UUID,
    offered_at: datetime,
) -> None:
    """Store a programme."""
    await connection.execute(_ADD_PROGRAMME, municipality, programme_id, title, summary, offered_by, offered_at)


async def title_of(connection: Connection, municipality: str, programme_id: UUID) -> str:
    """The title of a programme.

    Raises:
        ProgrammeUnknown: it is not there.
    """
    sql = "SELECT title FROM programmes WHERE municipality = $1 AND programme_id = $2"
    title: str | None = await connection.fetchval(sql, municipality, programme_id)
    if title is None:
        raise ProgrammeUnknown
    return title


async def known_people(connection: Connection, municipality: str, people: Sequence[UUID]) -> frozenset[UUID]:
    """Which of these people directory has told about."""
    sql = "SELECT person_id FROM people WHERE municipality = $1 AND person_id = ANY($2)"
    return frozenset(row["person_id"] for row in await connection.fetch(sql, municipality, people))


_RECORDED = """
SELECT person_id FROM completions
WHERE municipality = $1 AND programme_id = $2 AND completed_on = $3 AND person_id = ANY($4) AND revoked_at IS NULL
"""


async def who_completed(
    connection: Connection, municipality: str, programme_id: UUID, day: date, people: Sequence[UUID]
) -> frozenset[UUID]:
    """Whose completion of the programme on that day stands."""
    rows = await connection.fetch(_RECORDED, municipality, programme_id, day, people)
    return frozenset(row["person_id"] for row in rows)


_ADD = """
INSERT INTO completions (municipality, completion_id, programme_id, person_id, completed_on, source, recorded_by,
                         recorded_at, version)
SELECT $1, it.completion_id, it.programme_id, it.person_id, it.completed_on, it.source, $2, $3, it.version
FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::date[], $8::text[], $9::bigint[])
     AS it (completion_id, programme_id, person_id, completed_on, source, version)
ORDER BY it.person_id
ON CONFLICT DO NOTHING
"""


async def add_completions(
    connection: Connection, municipality: str, completions: Sequence[Completion], recorded_by: UUID, now: datetime
) -> None:
    """Store new completions; the unique index decides a race with somebody who records the same.

    Raises:
        AlreadyCompleted: the other one was faster; nothing of ours stays.
    """
    added = await connection.execute(
        _ADD,
        municipality,
        recorded_by,
        now,
        [each.completion_id for each in completions],
        [each.programme_id for each in completions],
        [each.person_id for each in completions],
        [each.completed_on for each in completions],
        [each.source for each in completions],
        [each.version for each in completions],
    )
    if added != f"INSERT 0 {len(completions)}":
        raise AlreadyCompleted


_LOAD = """
SELECT it.completion_id, it.programme_id, programme.title, it.person_id, it.completed_on, it.source,
       it.revoked_at IS NOT NULL AS revoked, it.version
FROM completions AS it
JOIN programmes AS programme ON programme.municipality = it.municipality AND programme.programme_id = it.programme_id
WHERE it.municipality = $1 AND it.completion_id = $2
FOR UPDATE OF it
"""


async def load_completion(connection: Connection, municipality: str, completion_id: UUID) -> Completion:
    """One completion, locked.

    Raises:
        NotFound: it is not there.
    """
    row = await connection.fetchrow(_LOAD, municipality, completion_id)
    if row is None:
        raise NotFound
    return Completion(
        completion_id=row["completion_id"],
        programme_id=row["programme_id"],
        programme_title=row["title"],
        person_id=row["person_id"],
        completed_on=row["completed_on"],
        source=row["source"],
        revoked=row["revoked"],
        version=row["version"],
    )


_REVOKE = """
UPDATE completions SET revoked_by = $4, revoked_at = $5, version = $6
WHERE municipality = $1 AND completion_id = $2 AND version = $3
"""


async def save_revocation(
    connection: Connection,
    municipality: str,
    before: Completion,
    after: Completion,
    *,
    revoked_by: UUID,
    now: datetime,
) -> None:
    """Store that a completion was revoked.

    Raises:
        ConcurrentChange: it is not at the version it was loaded with.
    """
    saved = await connection.execute(
        _REVOKE, municipality, after.completion_id, before.version, revoked_by, now, after.version
    )
    if saved != "UPDATE 1":
        raise ConcurrentChange

"""Calls, section calls and their nominations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import asyncpg

from chassis.refusals import ConcurrentChange, NotFound
from chassis.transaction import Connection
from services.leaders.domain.call import Nomination, SectionCall

_ADD_CALL = """
INSERT INTO calls (municipality, fiscal_year, closes_on, opened_by, opened_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING true
"""


async def add_call(
    connection: Connection,
    municipality: str,
    fiscal_year: int,
    closes_on: date,
    *,
    opened_by: UUID,
    opened_at: datetime,
) -> bool:
    """Record a town's call; ``False`` when there is one for that fiscal year already."""
    return bool(await connection.fetchval(_ADD_CALL, municipality, fiscal_year, closes_on, opened_by, opened_at))


async def closing_date_of_call(connection: Connection, municipality: str, fiscal_year: int) -> date | None:
    """When the call of a fiscal year closes; ``None``: the town has not called."""
    sql = "SELECT closes_on FROM calls WHERE municipality = $1 AND fiscal_year = $2"
    closes_on: date | None = await connection.fetchval(sql, municipality, fiscal_year)
    return closes_on


_ADD = """
INSERT INTO section_calls (municipality, section_call_id, fiscal_year, section_id, closes_on, open_until, state,
                           version)
SELECT $1, it.section_call_id, it.fiscal_year, it.section_id, it.closes_on, it.open_until, it.state, it.version
FROM unnest($2::uuid[], $3::int[], $4::uuid[], $5::date[], $6::date[], $7::text[], $8::bigint[])
     AS it (section_call_id, fiscal_year, section_id, closes_on, open_until, state, version)
"""


async def add_section_calls(connection: Connection, municipality: str, calls: Sequence[SectionCall]) -> None:
    """Record new section calls."""
    await connection.execute(
        _ADD,
        municipality,
        [call.section_call_id for call in calls],
        [call.fiscal_year for call in calls],
        [call.section_id for call in calls],
        [call.closes_on for call in calls],
        [call.open_until for call in calls],
        [call.state for call in calls],
        [call.version for call in calls],
    )


_ADD_REQUESTS = """
INSERT INTO section_call_requests (municipality, section_call_id, version, head_person_id, requested_at, reason)
SELECT $1, it.section_call_id, it.version, it.head_person_id, $5, $6
FROM unnest($2::uuid[], $3::bigint[], $4::uuid[]) AS it (section_call_id, version, head_person_id)
"""


async def add_requests(
    connection: Connection,
    municipality: str,
    calls: Sequence[SectionCall],
    heads: Sequence[UUID | None],
    *,
    requested_at: datetime,
    reason: str | None = None,
) -> None:
    """Keep that the sections were asked, at their present versions; ``reason``: why an answer was sent back."""
    await connection.execute(
        _ADD_REQUESTS,
        municipality,
        [call.section_call_id for call in calls],
        [call.version for call in calls],
        heads,
        requested_at,
        reason,
    )


_LAST_ASKED = """
SELECT DISTINCT ON (section_call_id) section_call_id, head_person_id FROM section_call_requests
WHERE municipality = $1 AND section_call_id = ANY($2)
ORDER BY section_call_id, version DESC
"""


async def last_asked(
    connection: Connection, municipality: str, section_call_ids: Sequence[UUID]
) -> dict[UUID, UUID | None]:
    """Which head the last request of each section call went to; ``None``: nobody, the post was vacant."""
    rows = await connection.fetch(_LAST_ASKED, municipality, section_call_ids)
    return {row["section_call_id"]: row["head_person_id"] for row in rows}


_LOAD = """
SELECT section_call_id, fiscal_year, section_id, closes_on, open_until, state, version
FROM section_calls WHERE municipality = $1 AND section_call_id = ANY($2)
ORDER BY section_call_id FOR UPDATE
"""

_LOAD_NOMINATIONS = """
SELECT section_call_id, nomination_id, person_id, nominated_by
FROM nominations WHERE municipality = $1 AND section_call_id = ANY($2) AND state = 'standing'
ORDER BY nominated_at, nomination_id
"""


async def load_section_calls(
    connection: Connection, municipality: str, section_call_ids: Sequence[UUID]
) -> list[SectionCall]:
    """The section calls with their standing nominations, locked, each once, in the order of their ids.

    Raises:
        NotFound: one of them is not there.
    """
    rows = await connection.fetch(_LOAD, municipality, section_call_ids)
    if len(rows) != len(set(section_call_ids)):
        raise NotFound
    nominations: dict[UUID, list[Nomination]] = {row["section_call_id"]: [] for row in rows}
    for row in await connection.fetch(_LOAD_NOMINATIONS, municipality, section_call_ids):
        nominations[row["section_call_id"]].append(
            Nomination(row["nomination_id"], row["person_id"], row["nominated_by"])
        )
    return [_section_call(row, nominations[row["section_call_id"]]) for row in rows]


def _section_call(row: asyncpg.Record, nominations: Sequence[Nomination]) -> SectionCall:
    return SectionCall(
        section_call_id=row["section_call_id"],
        fiscal_year=row["fiscal_year"],
        section_id=row["section_id"],
        closes_on=row["closes_on"],
        open_until=row["open_until"],
        state=row["state"],
        nominations=tuple(nominations),
        version=row["version"],
    )


async def load_section_call(connection: Connection, municipality: str, section_call_id: UUID) -> SectionCall:
    """One section call, locked.

    Raises:
        NotFound: it is not there.
    """
    return (await load_section_calls(connection, municipality, [section_call_id]))[0]


async def section_calls_of(connection: Connection, municipality: str, section_id: UUID) -> list[SectionCall]:
    """Every section call of a section that is not settled, locked."""
    sql = """
    SELECT section_call_id FROM section_calls
    WHERE municipality = $1 AND section_id = $2 AND state IN ('asked', 'answered')
    """
    ids = [row["section_call_id"] for row in await connection.fetch(sql, municipality, section_id)]
    return await load_section_calls(connection, municipality, ids)


_SAVE = """
UPDATE section_calls AS stored
SET closes_on = it.closes_on, open_until = it.open_until, state = it.state, version = it.version,
    answered_at = CASE WHEN it.state = 'asked' THEN NULL
                       WHEN stored.state = 'asked' AND it.state = 'answered' THEN $7
                       ELSE stored.answered_at END
FROM unnest($2::uuid[], $3::bigint[], $4::date[], $5::text[], $6::bigint[], $8::date[])
     AS it (section_call_id, expected, open_until, state, version, closes_on)
WHERE stored.municipality = $1 AND stored.section_call_id = it.section_call_id AND stored.version = it.expected
"""


async def save_section_calls(
    connection: Connection,
    municipality: str,
    before: Sequence[SectionCall],
    after: Sequence[SectionCall],
    now: datetime,
) -> None:
    """Store changed section calls.

    Raises:
        ConcurrentChange: one of them is not at the version it was loaded with.
    """
    saved = await connection.execute(
        _SAVE,
        municipality,
        [call.section_call_id for call in after],
        [call.version for call in before],
        [call.open_until for call in after],
        [call.state for call in after],
        [call.version for call in after],
        now,
        [call.closes_on for call in after],
    )
    if saved != f"UPDATE {len(after)}":
        raise ConcurrentChange


_ADD_NOMINATIONS = """
INSERT INTO nominations (municipality, nomination_id, section_call_id, person_id, nominated_by, nominated_at, state)
SELECT $1, it.nomination_id, $2, it.person_id, it.nominated_by, $6, 'standing'
FROM unnest($3::uuid[], $4::uuid[], $5::uuid[]) AS it (nomination_id, person_id, nominated_by)
"""


async def add_nominations(
    connection: Connection,
    municipality: str,
    section_call_id: UUID,
    nominations: Sequence[Nomination],
    now: datetime,
) -> None:
    """Store new nominations of a section call."""
    await connection.execute(
        _ADD_NOMINATIONS,
        municipality,
        section_call_id,
        [nomination.nomination_id for nomination in nominations],
        [nomination.person_id for nomination in nominations],
        [nomination.nominated_by for nomination in nominations],
        now,
    )


async def settle_nominations(
    connection: Connection, municipality: str, nominations: Sequence[Nomination], state: str
) -> None:
    """Nominations stand no longer: they were ``decided`` or ``sent_back``."""
    sql = "UPDATE nominations SET state = $3 WHERE municipality = $1 AND nomination_id = ANY($2)"
    await connection.execute(sql, municipality, [each.nomination_id for each in nominations], state)

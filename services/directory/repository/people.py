"""People, their postings, numbers and addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from chassis.transaction import Connection, new_id
from services.directory.domain.people import Change, Person, Posting
from services.directory.domain.transfers import Earlier

COLUMNS = """person.person_id, person.version, person.state_version, person.name, person.kana, person.mail,
       person.section_id, person.post, person.full_time, person.employment_kind, person.concurrent_section_ids,
       person.posted_on, person.joined_on, person.left_on"""

PLAN_AFRESH = "SET LOCAL plan_cache_mode = force_custom_plan"
"""A session keeps its plan of a foreign key's check. Made while `people` was small it reads the whole table for each
row: 3,000 rows took 12 s in these checks, and 2 s with plans made afresh."""
MANY = 100

LOCK_PEOPLE = f"""
SELECT {COLUMNS} FROM people AS person
WHERE municipality = $1 AND person_id = ANY($2::uuid[]) ORDER BY person_id FOR UPDATE
"""

LOCK_BY_NUMBER = f"""
WITH held AS (
    SELECT DISTINCT ON (number) number, person_id FROM staff_numbers
    WHERE municipality = $1 AND number = ANY($2::text[]) ORDER BY number, from_on DESC
)
SELECT held.number, {COLUMNS} FROM people AS person JOIN held USING (person_id)
WHERE person.municipality = $1 ORDER BY person_id FOR UPDATE OF person
"""

UPSERT_PEOPLE = """
INSERT INTO people (municipality, person_id, version, state_version, name, kana, mail, section_id, post, full_time,
                    employment_kind, concurrent_section_ids, posted_on, joined_on, left_on)
SELECT $1, p.person_id, p.version, p.state_version, p.name, p.kana, p.mail, p.section_id, p.post, p.full_time,
       p.employment_kind, p.concurrent::uuid[], p.posted_on, p.joined_on, p.left_on
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::text[],
            $10::boolean[], $11::text[], $12::text[], $13::date[], $14::date[], $15::date[])
     AS p (person_id, version, state_version, name, kana, mail, section_id, post, full_time, employment_kind,
           concurrent, posted_on, joined_on, left_on)
ON CONFLICT (municipality, person_id) DO UPDATE
SET version = excluded.version, state_version = excluded.state_version, name = excluded.name, kana = excluded.kana,
    mail = excluded.mail, section_id = excluded.section_id, post = excluded.post, full_time = excluded.full_time,
    employment_kind = excluded.employment_kind, concurrent_section_ids = excluded.concurrent_section_ids,
    posted_on = excluded.posted_on, joined_on = excluded.joined_on, left_on = excluded.left_on
"""

END_POSTINGS = """
UPDATE postings SET until_on = w.from_on - 1
FROM unnest($2::uuid[], $3::date[]) AS w (person_id, from_on)
WHERE postings.municipality = $1 AND postings.person_id = w.person_id AND postings.until_on IS NULL
  AND postings.superseded_at IS NULL AND postings.from_on < w.from_on
RETURNING postings.person_id, postings.posting_id
"""

SUPERSEDE_POSTINGS = """
UPDATE postings SET superseded_at = $4
FROM unnest($2::uuid[], $3::date[]) AS w (person_id, from_on)
WHERE postings.municipality = $1 AND postings.person_id = w.person_id AND postings.until_on IS NULL
  AND postings.superseded_at IS NULL AND postings.from_on >= w.from_on
RETURNING postings.person_id, postings.posting_id
"""

INSERT_POSTINGS = """
INSERT INTO postings (municipality, posting_id, person_id, from_on, section_id, post, full_time, employment_kind,
                      concurrent_section_ids, transfer_id, after_posting_id)
SELECT $1, p.posting_id, p.person_id, p.from_on, p.section_id, p.post, p.full_time, p.employment_kind,
       p.concurrent::uuid[], p.transfer_id, p.after_posting_id
FROM unnest($2::uuid[], $3::uuid[], $4::date[], $5::uuid[], $6::text[], $7::boolean[], $8::text[], $9::text[],
            $10::uuid[], $11::uuid[])
     AS p (posting_id, person_id, from_on, section_id, post, full_time, employment_kind, concurrent, transfer_id,
           after_posting_id)
"""

SELECT_POSTING_BEFORE = """
SELECT earlier.posting_id, earlier.from_on, earlier.section_id, earlier.post, earlier.full_time,
       earlier.employment_kind, earlier.concurrent_section_ids
FROM postings AS present
JOIN postings AS earlier
  ON earlier.municipality = present.municipality AND earlier.posting_id = present.after_posting_id
WHERE present.municipality = $1 AND present.person_id = $2 AND present.transfer_id = $3
  AND present.until_on IS NULL AND present.superseded_at IS NULL
"""

REOPEN_POSTING = """
UPDATE postings SET until_on = NULL, superseded_at = NULL WHERE municipality = $1 AND posting_id = $2
"""

INSERT_NUMBERS = """
INSERT INTO staff_numbers (municipality, number, person_id, from_on)
SELECT $1, n.number, n.person_id, n.from_on
FROM unnest($2::text[], $3::uuid[], $4::date[]) AS n (number, person_id, from_on)
ON CONFLICT (municipality, number, from_on) DO UPDATE SET until_on = NULL
"""

END_NUMBERS = """
UPDATE staff_numbers SET until_on = greatest($3::date - 1, from_on)
WHERE municipality = $1 AND person_id = ANY($2::uuid[]) AND until_on IS NULL
"""

SELECT_HELD_NUMBERS = """
SELECT number, person_id FROM staff_numbers
WHERE municipality = $1 AND until_on IS NULL AND ($2::text[] IS NULL OR number = ANY($2))
"""

UPSERT_MAIL = """
INSERT INTO mail_addresses (municipality, person_id, from_on, mail)
SELECT $1, m.* FROM unnest($2::uuid[], $3::date[], $4::text[]) AS m
ON CONFLICT (municipality, person_id, from_on) DO UPDATE SET mail = excluded.mail
"""


@dataclass(frozen=True, slots=True)
class PostingBefore(Earlier):
    """The posting before a transfer, and its row."""

    posting_id: UUID


def _posting(row: Any) -> Posting:
    return Posting(
        row["section_id"],
        row["post"],
        row["full_time"],
        row["employment_kind"],
        tuple(row["concurrent_section_ids"]),
    )


def _person(row: Any) -> Person:
    return Person(
        person_id=row["person_id"],
        version=row["version"],
        state_version=row["state_version"],
        name=row["name"],
        kana=row["kana"],
        mail=row["mail"],
        posting=_posting(row),
        posted_on=row["posted_on"],
        joined_on=row["joined_on"],
        left_on=row["left_on"],
    )


def _uuids(values: Sequence[UUID]) -> str:
    """The text of a uuid[]: arrays of unequal lengths cannot travel inside another array."""
    return "{" + ",".join(map(str, values)) + "}"


async def lock_person(connection: Connection, municipality: str, person_id: UUID) -> Person | None:
    """One person, locked."""
    row = await connection.fetchrow(LOCK_PEOPLE, municipality, [person_id])
    return _person(row) if row else None


async def lock_people_by_number(connection: Connection, municipality: str, numbers: Sequence[str]) -> dict[str, Person]:
    """People by the number they hold or held last, locked in one order."""
    rows = await connection.fetch(LOCK_BY_NUMBER, municipality, list(numbers))
    return {row["number"]: _person(row) for row in rows}


async def held_numbers(
    connection: Connection, municipality: str, numbers: Sequence[str] | None = None
) -> dict[str, UUID]:
    """Numbers that are held today and by whom; ``None``: all of the town."""
    rows = await connection.fetch(SELECT_HELD_NUMBERS, municipality, list(numbers) if numbers is not None else None)
    return {row["number"]: row["person_id"] for row in rows}


async def save_changes(connection: Connection, municipality: str, changes: Sequence[Change], now: datetime) -> None:
    """People as they are after the changes, with their postings, numbers and addresses."""
    if not changes:
        return
    if len(changes) > MANY:
        await connection.execute(PLAN_AFRESH)
    await _save_people(connection, municipality, [change.after for change in changes])
    if leaving := [change for change in changes if change.kind == "left"]:
        await _end(connection, municipality, leaving, now)
        for change in leaving:
            await connection.execute(END_NUMBERS, municipality, [change.after.person_id], change.effective_from)
    if moving := [change for change in changes if change.moves and change.kind != "reverted"]:
        ended = await _end(connection, municipality, moving, now)
        await _begin(connection, municipality, moving, ended)
    await _save_numbers(connection, municipality, changes)
    await _save_mail(connection, municipality, changes)


async def _save_people(connection: Connection, municipality: str, people: Sequence[Person]) -> None:
    await connection.execute(
        UPSERT_PEOPLE,
        municipality,
        [each.person_id for each in people],
        [each.version for each in people],
        [each.state_version for each in people],
        [each.name for each in people],
        [each.kana for each in people],
        [each.mail for each in people],
        [each.posting.section_id for each in people],
        [each.posting.post for each in people],
        [each.posting.full_time for each in people],
        [each.posting.employment_kind for each in people],
        [_uuids(each.posting.concurrent) for each in people],
        [each.posted_on for each in people],
        [each.joined_on for each in people],
        [each.left_on for each in people],
    )


async def _end(connection: Connection, municipality: str, changes: Sequence[Change], now: datetime) -> dict[UUID, UUID]:
    """End the open postings; gives each by its person."""
    people = [change.after.person_id for change in changes]
    days = [change.effective_from for change in changes]
    superseded = await connection.fetch(SUPERSEDE_POSTINGS, municipality, people, days, now)
    ended = await connection.fetch(END_POSTINGS, municipality, people, days)
    return {row["person_id"]: row["posting_id"] for row in (*superseded, *ended)}


async def _begin(
    connection: Connection, municipality: str, changes: Sequence[Change], ended: Mapping[UUID, UUID]
) -> None:
    await connection.execute(
        INSERT_POSTINGS,
        municipality,
        [new_id() for _ in changes],
        [change.after.person_id for change in changes],
        [change.effective_from for change in changes],
        [change.after.posting.section_id for change in changes],
        [change.after.posting.post for change in changes],
        [change.after.posting.full_time for change in changes],
        [change.after.posting.employment_kind for change in changes],
        [_uuids(change.after.posting.concurrent) for change in changes],
        [change.transfer_id for change in changes],
        [ended.get(change.after.person_id) for change in changes],
    )


async def _save_numbers(connection: Connection, municipality: str, changes: Sequence[Change]) -> None:
    numbered = [(change.number, change.after.person_id, change.effective_from) for change in changes if change.number]
    if numbered:
        await connection.execute(INSERT_NUMBERS, municipality, *map(list, zip(*numbered, strict=True)))


async def _save_mail(connection: Connection, municipality: str, changes: Sequence[Change]) -> None:
    mailed = [
        (change.after.person_id, change.effective_from, change.after.mail)
        for change in changes
        if (change.before.mail if change.before else None) != change.after.mail
    ]
    if mailed:
        await connection.execute(UPSERT_MAIL, municipality, *map(list, zip(*mailed, strict=True)))


async def renumber(connection: Connection, municipality: str, person_id: UUID, number: str, from_on: date) -> None:
    """The person bears a new number from a day on."""
    await connection.execute(END_NUMBERS, municipality, [person_id], from_on)
    await connection.execute(INSERT_NUMBERS, municipality, [number], [person_id], [from_on])


async def posting_before(
    connection: Connection, municipality: str, person_id: UUID, transfer_id: UUID
) -> PostingBefore | None:
    """The posting that held before a transfer."""
    row = await connection.fetchrow(SELECT_POSTING_BEFORE, municipality, person_id, transfer_id)
    return PostingBefore(_posting(row), row["from_on"], row["posting_id"]) if row else None


async def save_reversal(
    connection: Connection, municipality: str, change: Change, before: PostingBefore, now: datetime
) -> None:
    """The person as before a transfer; the posting that it began never held."""
    await _save_people(connection, municipality, [change.after])
    await connection.execute(SUPERSEDE_POSTINGS, municipality, [change.after.person_id], [change.effective_from], now)
    await connection.execute(REOPEN_POSTING, municipality, before.posting_id)

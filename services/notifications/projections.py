"""Copies of foreign facts: who people are and where their mail goes, section names and heads, desks, texts, the town.

Each is set-based: runs of the same event become one statement. Facts come in order per aggregate, states by version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any, get_args
from uuid import UUID

from chassis.periods import standing, superseded
from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.consultations import ConsultationTextV1, Desk
from taiwa_contracts.directory import (
    MunicipalityRegisteredV1,
    PersonStateV1,
    RoleGrantedV1,
    RoleRevokedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
)

DESKS: tuple[Desk, ...] = get_args(Desk)

_TOWNS = """
INSERT INTO towns (municipality, name, fictional) SELECT * FROM unnest($1::text[], $2::text[], $3::bool[])
ON CONFLICT (municipality) DO UPDATE SET name = excluded.name, fictional = excluded.fictional
"""

_PEOPLE = """
INSERT INTO people (municipality, person_id, state_version, name, mail, has_left)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bool[])
ON CONFLICT (municipality, person_id) DO UPDATE
SET state_version = excluded.state_version, name = excluded.name, mail = excluded.mail, has_left = excluded.has_left,
    erased = false
WHERE people.state_version < excluded.state_version
"""

_ERASED_PEOPLE = """
INSERT INTO people (municipality, person_id, state_version, has_left, erased)
SELECT municipality, person_id, version, true, true
FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS erased (municipality, person_id, version)
ON CONFLICT (municipality, person_id) DO UPDATE
SET state_version = greatest(people.state_version, excluded.state_version), name = NULL, mail = NULL, has_left = true,
    erased = true
"""

_SUPERSEDED_SECTION_NAMES = superseded("section_names", "section_id")

_SECTION_NAMES = """
INSERT INTO section_names (municipality, section_id, from_on, name)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::text[])
"""

_SUPERSEDED_SECTION_HEADS = superseded("section_heads", "section_id")

_SECTION_HEADS = """
INSERT INTO section_heads (municipality, section_id, from_on, head_person_id)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::uuid[])
"""

_DESK_MEMBERS = """
INSERT INTO desk_members (municipality, person_id, desk, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::date[])
ON CONFLICT (municipality, person_id, desk, from_on) DO UPDATE SET until_on = NULL
"""

_FORMER_DESK_MEMBERS = """
UPDATE desk_members AS member SET until_on = revoked.from_on - 1
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::date[]) AS revoked (municipality, person_id, desk, from_on)
WHERE member.municipality = revoked.municipality AND member.person_id = revoked.person_id
  AND member.desk = revoked.desk AND member.until_on IS NULL
"""

_TEXTS = """
INSERT INTO texts (municipality, text_id, state_version, body)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[])
ON CONFLICT (municipality, text_id) DO UPDATE SET state_version = excluded.state_version, body = excluded.body
WHERE texts.state_version < excluded.state_version
"""

_ERASED_TEXTS = """
INSERT INTO texts (municipality, text_id, state_version)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[])
ON CONFLICT (municipality, text_id) DO UPDATE
SET state_version = greatest(texts.state_version, excluded.state_version), body = NULL
"""


def _runs(
    records: Sequence[Received[Any]], *, periods: bool = False
) -> Iterator[tuple[type[Any], list[Received[Any]]]]:
    """Stretches of the same event, in order; within one the newest record of an aggregate counts.

    ``periods``: each day from which something holds counts by itself, since earlier ones stay true of their days.
    """
    for kind, run in groupby(records, key=lambda record: type(record.event)):
        newest = {
            (record.municipality, record.aggregate, record.event.effective_from if periods else None): record
            for record in run
        }
        yield kind, list(newest.values())


def _newest(records: Sequence[Received[Any]]) -> tuple[list[Received[Any]], list[Received[Any]]]:
    """The newest state of each aggregate: those that are there, and those that were erased."""
    newest = {(record.municipality, record.aggregate): record for record in records}.values()
    return [each for each in newest if each.event is not None], [each for each in newest if each.event is None]


def _municipalities(run: Sequence[Received[Any]]) -> list[str]:
    return [record.municipality for record in run]


async def apply_towns(connection: Connection, records: Sequence[Received[MunicipalityRegisteredV1]]) -> None:
    """Names of the towns."""
    for _, run in _runs(records):
        await connection.execute(
            _TOWNS,
            _municipalities(run),
            [record.event.name for record in run],
            [record.event.fictional for record in run],
        )


async def apply_people(connection: Connection, records: Sequence[Received[PersonStateV1 | None]]) -> None:
    """Names and addresses of people; an erased person keeps neither."""
    known, erased = _newest(records)
    if erased:
        ids = [record.aggregate_id for record in erased]
        await connection.execute(_ERASED_PEOPLE, _municipalities(erased), ids, [record.version for record in erased])
    if known:
        await connection.execute(
            _PEOPLE,
            _municipalities(known),
            [record.event.person_id for record in known],
            [record.event.state_version for record in known],
            [record.event.name for record in known],
            [record.event.mail for record in known],
            [record.event.left for record in known],
        )


def _begins(event: Any) -> date:
    day: date = event.effective_from
    return day


def _sections_and_days(held: Sequence[Received[Any]]) -> tuple[list[str], list[UUID], list[date]]:
    return _municipalities(held), [it.event.section_id for it in held], [_begins(it.event) for it in held]


async def apply_section_names(
    connection: Connection, records: Sequence[Received[SectionCreatedV1 | SectionRenamedV1]]
) -> None:
    """Names of sections, each from its day on."""
    held = standing(records, _begins)
    begun = _sections_and_days(held)
    await connection.execute(_SUPERSEDED_SECTION_NAMES, *begun)
    await connection.execute(_SECTION_NAMES, *begun, [it.event.name for it in held])


async def apply_section_heads(connection: Connection, records: Sequence[Received[SectionHeadAssignedV1]]) -> None:
    """Heads of sections, each from its day on; nobody: vacant."""
    held = standing(records, _begins)
    begun = _sections_and_days(held)
    await connection.execute(_SUPERSEDED_SECTION_HEADS, *begun)
    await connection.execute(_SECTION_HEADS, *begun, [it.event.head_person_id for it in held])


async def apply_desk_members(
    connection: Connection, records: Sequence[Received[RoleGrantedV1 | RoleRevokedV1]]
) -> None:
    """Who belongs to the desks from when until when; other roles do not matter here."""
    for kind, run in _runs([record for record in records if record.event.role in DESKS], periods=True):
        await connection.execute(
            _DESK_MEMBERS if kind is RoleGrantedV1 else _FORMER_DESK_MEMBERS,
            _municipalities(run),
            [record.event.person_id for record in run],
            [record.event.role for record in run],
            [record.event.effective_from for record in run],
        )


async def apply_texts(connection: Connection, records: Sequence[Received[ConsultationTextV1 | None]]) -> None:
    """Texts of consultations; an erased one keeps no body."""
    known, erased = _newest(records)
    if erased:
        ids = [record.aggregate_id for record in erased]
        await connection.execute(_ERASED_TEXTS, _municipalities(erased), ids, [record.version for record in erased])
    if known:
        await connection.execute(
            _TEXTS,
            _municipalities(known),
            [record.event.entry_id for record in known],
            [record.event.state_version for record in known],
            [record.event.body for record in known],
        )

"""Copies of foreign facts: names, sections and their heads, leaders, members of the desks, the calendar.

Each is set-based: runs of the same event become one statement. Facts come in order per aggregate, states by version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from chassis.periods import standing, superseded
from chassis.service import Received
from chassis.transaction import Connection
from services.consultations.domain.routing import DESKS
from taiwa_contracts.directory import (
    CalendarChangedV1,
    PersonStateV1,
    RoleGrantedV1,
    RoleRevokedV1,
    SectionChangedV1,
    SectionClosedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
)
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

_PEOPLE = """
INSERT INTO people (municipality, person_id, state_version, name, kana, post, section_id, has_left)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::bool[])
ON CONFLICT (municipality, person_id) DO UPDATE
SET state_version = excluded.state_version, name = excluded.name, kana = excluded.kana, post = excluded.post,
    section_id = excluded.section_id, has_left = excluded.has_left
WHERE people.state_version < excluded.state_version
"""

_ERASED_PEOPLE = """
INSERT INTO people (municipality, person_id, state_version, has_left)
SELECT municipality, person_id, version, true
FROM unnest($1::text[], $2::uuid[], $3::bigint[]) AS erased (municipality, person_id, version)
ON CONFLICT (municipality, person_id) DO UPDATE
SET state_version = greatest(people.state_version, excluded.state_version), name = NULL, kana = NULL, post = NULL,
    has_left = true
"""

_SECTIONS = """
INSERT INTO sections (municipality, section_id, display_order, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::date[])
ON CONFLICT (municipality, section_id) DO UPDATE
SET display_order = excluded.display_order, from_on = excluded.from_on
"""

_SECTION_ORDERS = """
UPDATE sections SET display_order = changed.display_order
FROM unnest($1::text[], $2::uuid[], $3::int[]) AS changed (municipality, section_id, display_order)
WHERE sections.municipality = changed.municipality AND sections.section_id = changed.section_id
"""

_CLOSED_SECTIONS = """
UPDATE sections SET until_on = closed.from_on - 1
FROM unnest($1::text[], $2::uuid[], $3::date[]) AS closed (municipality, section_id, from_on)
WHERE sections.municipality = closed.municipality AND sections.section_id = closed.section_id
"""

_SUPERSEDED_SECTION_NAMES = superseded("section_names", "section_id")

_SECTION_NAMES = """
INSERT INTO section_names (municipality, section_id, from_on, name)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::text[])
"""

_SUPERSEDED_SECTION_HEADS = superseded("section_heads", "section_id")

_SECTION_HEADS = """
INSERT INTO section_heads (municipality, section_id, from_on, head_person_id, head_post)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::date[], $4::uuid[], $5::text[])
"""

_LEADER_TERMS = """
INSERT INTO leader_terms (municipality, appointment_id, person_id, section_id, from_on, until_on, withdrawn)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::date[], $6::date[], $7::bool[])
ON CONFLICT (municipality, appointment_id) DO UPDATE
SET person_id = excluded.person_id, section_id = excluded.section_id, from_on = excluded.from_on,
    until_on = excluded.until_on, withdrawn = excluded.withdrawn
"""

_LEADER_TERMS_UNTIL = """
UPDATE leader_terms SET until_on = changed.until_on
FROM unnest($1::text[], $2::uuid[], $3::date[]) AS changed (municipality, appointment_id, until_on)
WHERE leader_terms.municipality = changed.municipality AND leader_terms.appointment_id = changed.appointment_id
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

_CALENDARS = """
INSERT INTO calendars (municipality, fiscal_year, closed_days, closes_at)
SELECT municipality, fiscal_year, ARRAY(SELECT jsonb_array_elements_text(closed_days::jsonb)::date), closes_at
FROM unnest($1::text[], $2::int[], $3::text[], $4::text[])
     AS changed (municipality, fiscal_year, closed_days, closes_at)
ON CONFLICT (municipality, fiscal_year) DO UPDATE
SET closed_days = excluded.closed_days, closes_at = excluded.closes_at
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


def _municipalities(run: Sequence[Received[Any]]) -> list[str]:
    return [record.municipality for record in run]


async def apply_people(connection: Connection, records: Sequence[Received[PersonStateV1 | None]]) -> None:
    """Names, posts and sections of people; an erased person keeps no name."""
    newest = {(record.municipality, record.aggregate): record for record in records}.values()
    if erased := [record for record in newest if record.event is None]:
        ids = [record.aggregate_id for record in erased]
        await connection.execute(_ERASED_PEOPLE, _municipalities(erased), ids, [record.version for record in erased])
    known = [(record.municipality, record.event) for record in newest if record.event is not None]
    if known:
        await connection.execute(
            _PEOPLE,
            [municipality for municipality, _ in known],
            [person.person_id for _, person in known],
            [person.state_version for _, person in known],
            [person.name for _, person in known],
            [person.kana for _, person in known],
            [person.post for _, person in known],
            [person.section_id for _, person in known],
            [person.left for _, person in known],
        )


async def apply_sections(
    connection: Connection, records: Sequence[Received[SectionCreatedV1 | SectionChangedV1 | SectionClosedV1]]
) -> None:
    """Sections, from when until when, and their order.

    The order is today's, without periods: lists are sorted by it, and nothing of a past day is decided or shown by it.
    """
    for kind, run in _runs(records):
        municipalities = _municipalities(run)
        sections = [record.event.section_id for record in run]
        days = [record.event.effective_from for record in run]
        if kind is SectionCreatedV1:
            orders = [record.event.display_order for record in run]
            await connection.execute(_SECTIONS, municipalities, sections, orders, days)
        elif kind is SectionChangedV1:
            orders = [record.event.display_order for record in run]
            await connection.execute(_SECTION_ORDERS, municipalities, sections, orders)
        else:
            await connection.execute(_CLOSED_SECTIONS, municipalities, sections, days)


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
    await connection.execute(
        _SECTION_HEADS,
        *begun,
        [it.event.head_person_id for it in held],
        [it.event.head_post for it in held],
    )


async def apply_leader_terms(
    connection: Connection,
    records: Sequence[Received[LeaderAppointedV1 | AppointmentCorrectedV1 | LeaderTermExtendedV1 | LeaderTermEndedV1]],
) -> None:
    """Who leads which section from when until when."""
    for kind, run in _runs(records):
        municipalities = _municipalities(run)
        appointments = [record.event.appointment_id for record in run]
        if kind in (LeaderAppointedV1, AppointmentCorrectedV1):
            await connection.execute(
                _LEADER_TERMS,
                municipalities,
                appointments,
                [record.event.person_id for record in run],
                [record.event.section_id for record in run],
                [record.event.effective_from for record in run],
                [record.event.ends_on for record in run],
                [kind is AppointmentCorrectedV1 and record.event.withdrawn for record in run],
            )
        elif kind is LeaderTermExtendedV1:
            await connection.execute(_LEADER_TERMS_UNTIL, municipalities, appointments, [None for _ in run])
        else:
            last_days = [record.event.effective_from - timedelta(days=1) for record in run]
            await connection.execute(_LEADER_TERMS_UNTIL, municipalities, appointments, last_days)


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


async def apply_calendars(connection: Connection, records: Sequence[Received[CalendarChangedV1]]) -> None:
    """Closed days and closing times by fiscal year."""
    for _, run in _runs(records):
        await connection.execute(
            _CALENDARS,
            _municipalities(run),
            [record.event.fiscal_year for record in run],
            [json.dumps([day.isoformat() for day in record.event.closed_days]) for record in run],
            [record.event.closes_at for record in run],
        )

"""Copies of foreign facts: names of people and sections, terms of leaders. Set-based, rebuildable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.directory import PersonStateV1, SectionCreatedV1, SectionRenamedV1
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1, LeaderTermEndedV1

_PEOPLE = """
INSERT INTO people (municipality, person_id, name, kana, state_version)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (municipality, person_id) DO UPDATE
SET name = excluded.name, kana = excluded.kana, state_version = excluded.state_version
WHERE people.state_version < excluded.state_version
"""

_ERASED = """
DELETE FROM people USING unnest($1::text[], $2::uuid[]) AS erased (municipality, person_id)
WHERE people.municipality = erased.municipality AND people.person_id = erased.person_id
"""


async def apply_people(connection: Connection, records: Sequence[Received[PersonStateV1 | None]]) -> None:
    """Names from the state topic; an erased person has no row. Records of one person stand in order."""
    last = {(it.municipality, it.aggregate_id): it for it in records}
    named = [(it.municipality, it.event) for it in last.values() if it.event is not None]
    if named:
        await connection.execute(
            _PEOPLE,
            [municipality for municipality, _ in named],
            [person.person_id for _, person in named],
            [person.name for _, person in named],
            [person.kana for _, person in named],
            [person.state_version for _, person in named],
        )
    if erased := [key for key, it in last.items() if it.event is None]:
        await connection.execute(_ERASED, [town for town, _ in erased], [person for _, person in erased])


_SECTION_NAMES = """
INSERT INTO section_names (municipality, section_id, version, name, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::date[])
ON CONFLICT DO NOTHING
"""


async def apply_section_names(
    connection: Connection, records: Sequence[Received[SectionCreatedV1] | Received[SectionRenamedV1]]
) -> None:
    """Names of sections, each from its day on."""
    await connection.execute(
        _SECTION_NAMES,
        [it.municipality for it in records],
        [it.event.section_id for it in records],
        [it.version for it in records],
        [it.event.name for it in records],
        [it.event.effective_from for it in records],
    )


# Set-based within each kind, the kinds in the order of an appointment's life: what a batch holds of one appointment is
# reduced to its last word on each side before it is written.
_TERMS = """
INSERT INTO leader_terms (municipality, appointment_id, person_id, section_id, from_on, until_on, withdrawn)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::date[], $6::date[], $7::bool[])
ON CONFLICT (municipality, appointment_id) DO UPDATE
SET from_on = excluded.from_on, until_on = excluded.until_on, withdrawn = excluded.withdrawn
"""

_UNTIL = """
UPDATE leader_terms AS it SET until_on = changed.until_on
FROM unnest($1::text[], $2::uuid[], $3::date[]) AS changed (municipality, appointment_id, until_on)
WHERE it.municipality = changed.municipality AND it.appointment_id = changed.appointment_id
"""


async def apply_leader_terms(connection: Connection, records: Sequence[Received[Any]]) -> None:
    """Who leads which section, when: LeaderAppointed, AppointmentCorrected, LeaderTermExtended, LeaderTermEnded."""
    stated: dict[tuple[str, str], Received[Any]] = {}
    until: dict[tuple[str, str], Received[Any]] = {}
    for it in records:
        key = (it.municipality, it.aggregate)
        if isinstance(it.event, LeaderAppointedV1 | AppointmentCorrectedV1):
            stated[key] = it
            until.pop(key, None)
        else:
            until[key] = it
    await _state_terms(connection, list(stated.values()))
    if until:
        await connection.execute(
            _UNTIL,
            [it.municipality for it in until.values()],
            [it.event.appointment_id for it in until.values()],
            [
                it.event.effective_from - timedelta(days=1) if isinstance(it.event, LeaderTermEndedV1) else None
                for it in until.values()
            ],
        )


async def _state_terms(connection: Connection, stated: Sequence[Received[Any]]) -> None:
    if stated:
        await connection.execute(
            _TERMS,
            [it.municipality for it in stated],
            [it.event.appointment_id for it in stated],
            [it.event.person_id for it in stated],
            [it.event.section_id for it in stated],
            [it.event.effective_from for it in stated],
            [it.event.ends_on for it in stated],
            [isinstance(it.event, AppointmentCorrectedV1) and it.event.withdrawn for it in stated],
        )

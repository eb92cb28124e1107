"""People: their names, to which sections they belong and when, when they are away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chassis.periods import ends
from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.directory import AbsenceRecordedV1, PersonStateV1, StaffLeftV1, TransferRevertedV1

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


_MEMBERSHIPS = """
INSERT INTO memberships (municipality, person_id, version, section_id, concurrent_section_ids, post, from_on,
                         transfer_id)
SELECT municipality, person_id, version, section_id,
       ARRAY(SELECT json_array_elements_text(concurrent::json)::uuid), post, from_on, transfer_id
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::date[], $8::uuid[])
     AS it (municipality, person_id, version, section_id, concurrent, post, from_on, transfer_id)
ON CONFLICT DO NOTHING
"""

_REVERTED = """
UPDATE memberships AS it SET reverted = true
FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[]) AS undone (municipality, person_id, transfer_id, version)
WHERE it.municipality = undone.municipality AND it.person_id = undone.person_id
  AND it.transfer_id = undone.transfer_id AND it.version < undone.version
"""

_MEMBERSHIPS_END = ends("memberships", "person_id")


async def apply_memberships(connection: Connection, records: Sequence[Received[Any]]) -> None:
    """Where people belong: StaffJoined, StaffChanged, StaffTransferred, TransferReverted and StaffLeft.

    Each fact holds until a newer one begins; a reverted transfer never was.
    """
    people = [it.municipality for it in records], [it.event.person_id for it in records]
    await connection.execute(
        _MEMBERSHIPS,
        *people,
        [it.version for it in records],
        [getattr(it.event, "section_id", None) or getattr(it.event, "to_section_id", None) for it in records],
        [_concurrent(it.event) for it in records],
        [getattr(it.event, "post", None) for it in records],
        [it.event.effective_from for it in records],
        [getattr(it.event, "transfer_id", None) for it in records],
    )
    if undone := [it for it in records if isinstance(it.event, TransferRevertedV1)]:
        await connection.execute(
            _REVERTED,
            [it.municipality for it in undone],
            [it.event.person_id for it in undone],
            [it.event.transfer_id for it in undone],
            [it.version for it in undone],
        )
    await connection.execute(_MEMBERSHIPS_END, *people)


def _concurrent(event: Any) -> str:
    return json.dumps([] if isinstance(event, StaffLeftV1) else [str(each) for each in event.concurrent_section_ids])


_ABSENCES = """
INSERT INTO absences (municipality, absence_id, person_id, from_on, until_on, withdrawn)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::date[], $5::date[], $6::bool[])
ON CONFLICT (municipality, absence_id) DO UPDATE
SET from_on = excluded.from_on, until_on = excluded.until_on, withdrawn = excluded.withdrawn
"""


async def apply_absences(connection: Connection, records: Sequence[Received[AbsenceRecordedV1]]) -> None:
    """Absences without their reason; the newest record of an absence holds."""
    newest = list({(it.municipality, it.event.absence_id): it for it in records}.values())
    await connection.execute(
        _ABSENCES,
        [it.municipality for it in newest],
        [it.event.absence_id for it in newest],
        [it.event.person_id for it in newest],
        [it.event.from_on for it in newest],
        [it.event.until_on for it in newest],
        [it.event.withdrawn for it in newest],
    )

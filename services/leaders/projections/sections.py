"""Sections, their names, attributes and heads, each with the days it held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from chassis.periods import ends
from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.directory import (
    SectionChangedV1,
    SectionClosedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
)

_SECTIONS = """
INSERT INTO sections (municipality, section_id, code, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::date[])
ON CONFLICT DO NOTHING
"""

_CLOSED = """
UPDATE sections AS it SET until_on = closed.from_on - 1
FROM unnest($1::text[], $2::uuid[], $3::date[]) AS closed (municipality, section_id, from_on)
WHERE it.municipality = closed.municipality AND it.section_id = closed.section_id
"""

_NAMES = """
INSERT INTO section_names (municipality, section_id, version, name, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::date[])
ON CONFLICT DO NOTHING
"""

_ATTRIBUTES = """
INSERT INTO section_attributes (municipality, section_id, version, kind, appointing_authority, display_order, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::date[])
ON CONFLICT DO NOTHING
"""

_HEADS = """
INSERT INTO section_heads (municipality, section_id, version, person_id, post, from_on)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::date[])
ON CONFLICT DO NOTHING
"""

_NAMES_END = ends("section_names", "section_id")
_ATTRIBUTES_END = ends("section_attributes", "section_id")
_HEADS_END = ends("section_heads", "section_id")


async def apply_sections(
    connection: Connection, records: Sequence[Received[SectionCreatedV1] | Received[SectionClosedV1]]
) -> None:
    """When sections exist."""
    created = [it for it in records if isinstance(it.event, SectionCreatedV1)]
    if created:
        await connection.execute(
            _SECTIONS,
            *_keys(created),
            [it.event.code for it in created],
            [it.event.effective_from for it in created],
        )
    if closed := [it for it in records if isinstance(it.event, SectionClosedV1)]:
        await connection.execute(_CLOSED, *_keys(closed), [it.event.effective_from for it in closed])


async def apply_section_names(
    connection: Connection, records: Sequence[Received[SectionCreatedV1] | Received[SectionRenamedV1]]
) -> None:
    """What sections are called, from which day on."""
    await connection.execute(
        _NAMES,
        *_keys(records),
        [it.version for it in records],
        [it.event.name for it in records],
        [it.event.effective_from for it in records],
    )
    await connection.execute(_NAMES_END, *_keys(records))


async def apply_section_attributes(
    connection: Connection, records: Sequence[Received[SectionCreatedV1] | Received[SectionChangedV1]]
) -> None:
    """Kind, 任命権者 and place in the town's order, from which day on."""
    await connection.execute(
        _ATTRIBUTES,
        *_keys(records),
        [it.version for it in records],
        [it.event.kind for it in records],
        [it.event.appointing_authority for it in records],
        [it.event.display_order for it in records],
        [it.event.effective_from for it in records],
    )
    await connection.execute(_ATTRIBUTES_END, *_keys(records))


async def apply_section_heads(connection: Connection, records: Sequence[Received[SectionHeadAssignedV1]]) -> None:
    """Who heads sections, from which day on; nobody: the post is vacant."""
    await connection.execute(
        _HEADS,
        *_keys(records),
        [it.version for it in records],
        [it.event.head_person_id for it in records],
        [it.event.head_post for it in records],
        [it.event.effective_from for it in records],
    )
    await connection.execute(_HEADS_END, *_keys(records))


def _keys(records: Sequence[Received[Any]]) -> tuple[list[str], list[UUID]]:
    return [it.municipality for it in records], [it.event.section_id for it in records]

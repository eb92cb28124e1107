"""Sections as of today."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.http import Page, View, page_of
from chassis.http.paging import PageRequest
from services.directory.domain.sections import SectionUnknown

SELECT_SECTIONS = """
SELECT section.section_id, section.code, section.name, section.kind, section.appointing_authority,
       section.display_order, section.created_on, section.closed_on, section.version,
       coalesce(head.post, section.head_post) AS head_post, head.person_id AS head_person_id,
       person.name AS head_name, section.awaited_head_number IS NOT NULL AS head_awaited
FROM sections AS section
LEFT JOIN section_heads AS head
  ON head.municipality = section.municipality AND head.section_id = section.section_id
 AND head.from_on <= $2 AND (head.until_on IS NULL OR head.until_on >= $2)
LEFT JOIN people AS person ON person.municipality = head.municipality AND person.person_id = head.person_id
WHERE section.municipality = $1
"""

_ORDERS = range(-(2**31), 2**31)

LIST_SECTIONS = f"""
{SELECT_SECTIONS}
  AND (section.closed_on IS NULL OR section.closed_on > $2)
  AND ($3::int IS NULL OR (section.display_order, section.code) > ($3, $4))
ORDER BY section.display_order, section.code LIMIT $5
"""

ONE_SECTION = f"{SELECT_SECTIONS} AND section.section_id = $3"

SELECT_PAST_NAMES = """
SELECT from_on, name FROM section_names WHERE municipality = $1 AND section_id = $2 ORDER BY from_on
"""

SELECT_PAST_ATTRIBUTES = """
SELECT from_on, kind, appointing_authority, display_order FROM section_attributes
WHERE municipality = $1 AND section_id = $2 ORDER BY from_on
"""


class SectionView(BaseModel):
    """A section. ``head_person_id`` is null where the post ``head_post`` is vacant."""

    section_id: UUID
    code: str
    name: str
    kind: str
    appointing_authority: str
    display_order: int
    created_on: date
    closed_on: date | None
    version: int
    head_post: str
    head_person_id: UUID | None
    head_name: str | None
    head_awaited: bool


class SectionName(BaseModel):
    """The name a section bore from a day on."""

    from_on: date
    name: str


class SectionAttributes(BaseModel):
    """Kind, 任命権者 and place in the town's order that a section had from a day on."""

    from_on: date
    kind: str
    appointing_authority: str
    display_order: int


class SectionDetails(SectionView):
    """A section with the names it has borne and the attributes it has had."""

    names: list[SectionName]
    attributes: list[SectionAttributes]


def _order(text: str) -> int:
    if (order := int(text)) not in _ORDERS:
        raise ValueError("not an order")
    return order


async def list_sections(view: View, request: PageRequest) -> Page[SectionView]:
    """Sections that are not closed, in the town's order."""
    rows = await view.connection.fetch(
        LIST_SECTIONS, view.municipality, view.today, *(request.last(_order, str) or (None, None)), request.limit + 1
    )
    page, following = page_of(rows, request, lambda row: (row["display_order"], row["code"]))
    return Page(items=[SectionView(**dict(row)) for row in page], next_cursor=following)


async def one_section(view: View, section_id: UUID) -> SectionDetails:
    """One section.

    Raises:
        SectionUnknown: there is none.
    """
    row = await view.connection.fetchrow(ONE_SECTION, view.municipality, view.today, section_id)
    if row is None:
        raise SectionUnknown
    names = await view.connection.fetch(SELECT_PAST_NAMES, view.municipality, section_id)
    attributes = await view.connection.fetch(SELECT_PAST_ATTRIBUTES, view.municipality, section_id)
    return SectionDetails(
        **dict(row),
        names=[SectionName(**dict(each)) for each in names],
        attributes=[SectionAttributes(**dict(each)) for each in attributes],
    )

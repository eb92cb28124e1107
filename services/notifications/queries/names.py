"""Recipients, and the names and texts that notices are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import asyncpg
from jinja2 import TemplateError

from chassis.transaction import Connection
from services.notifications.templates import UNKNOWN_PERSON, Names, Rendered, render

UNREADABLE = Rendered("お知らせ", "このお知らせの文面を表示できません。総合政策課にお知らせください。")

_PEOPLE = "SELECT person_id, name, mail, erased FROM people WHERE municipality = $1 AND person_id = ANY($2)"

_SECTION_NAMES = """
SELECT DISTINCT ON (section_id) section_id, name FROM section_names
WHERE municipality = $1 AND section_id = ANY($2)
ORDER BY section_id, (from_on <= $3) DESC, CASE WHEN from_on <= $3 THEN from_on END DESC, from_on
"""

_TEXTS = "SELECT text_id, body FROM texts WHERE municipality = $1 AND text_id = ANY($2) AND body IS NOT NULL"

_TOWN = "SELECT name, fictional FROM towns WHERE municipality = $1"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a person's mail goes; ``erased``: nowhere any more."""

    name: str | None
    mail: str | None
    erased: bool


async def recipients(connection: Connection, municipality: str, people: Iterable[UUID]) -> dict[UUID, Recipient]:
    """The people known here among those asked for."""
    rows = await connection.fetch(_PEOPLE, municipality, list(set(people)))
    return {row["person_id"]: Recipient(row["name"], row["mail"], row["erased"]) for row in rows}


async def known_names(
    connection: Connection,
    municipality: str,
    day: date,
    particulars: Sequence[Mapping[str, str]],
    texts: Iterable[UUID | None] = (),
) -> Names:
    """The names and texts that these notices speak of."""
    people = {UUID(it[key]) for it in particulars for key in it if key.endswith("person_id")}
    sections = {UUID(it[key]) for it in particulars for key in it if key.endswith("section_id")}
    text_ids = {text_id for text_id in texts if text_id is not None}
    town = await connection.fetchrow(_TOWN, municipality)
    return Names(
        people={key: it.name for key, it in (await recipients(connection, municipality, people)).items() if it.name},
        sections={
            row["section_id"]: row["name"]
            for row in await connection.fetch(_SECTION_NAMES, municipality, list(sections), day)
        },
        texts={row["text_id"]: row["body"] for row in await connection.fetch(_TEXTS, municipality, list(text_ids))},
        town=town["name"] if town else "",
        fictional=bool(town and town["fictional"]),
    )


def readable(template: str, particulars: Mapping[str, str], names: Names, text_id: UUID | None) -> Rendered:
    """The notice; one that can no longer be put into words must not close the whole inbox."""
    try:
        return render(template, particulars, names, text_id)
    except (TemplateError, ValueError):
        return UNREADABLE


def person_name(row: asyncpg.Record, people: Mapping[UUID, Recipient]) -> str:
    """What a delivery's recipient is called."""
    person = people.get(row["person_id"])
    return (person.name if person else None) or UNKNOWN_PERSON

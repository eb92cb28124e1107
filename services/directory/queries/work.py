"""What directory wants from a person today, and the present state of people for the topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from chassis.auth import Caller
from chassis.calendar import at
from chassis.http import Target, View, WorkItem
from chassis.service import Key
from chassis.transaction import Connection
from taiwa_contracts.directory import PersonStateV1

SECTIONS_WITHOUT_HEAD = """
SELECT section.section_id, section.name, section.awaited_head_number, section.created_on,
       (SELECT max(head.until_on) + 1 FROM section_heads AS head
        WHERE head.municipality = $1 AND head.section_id = section.section_id AND head.until_on < $2) AS vacant_since
FROM sections AS section
WHERE section.municipality = $1 AND section.created_on <= $2
  AND (section.closed_on IS NULL OR section.closed_on > $2)
  AND NOT EXISTS (SELECT FROM section_heads AS head
                  WHERE head.municipality = $1 AND head.section_id = section.section_id
                    AND head.from_on <= $2 AND (head.until_on IS NULL OR head.until_on >= $2))
ORDER BY section.display_order, section.code
"""

SELECT_STATES = """
SELECT person.municipality, person.person_id, person.state_version, person.name, person.kana, person.mail,
       person.section_id, person.post, person.left_on IS NOT NULL AS left
FROM people AS person
JOIN unnest($1::text[], $2::uuid[]) AS wanted (municipality, person_id) USING (municipality, person_id)
"""


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """Sections whose post of head is vacant, for 総務課 and administrators."""
    if not caller.has("hr", "admin"):
        return []
    rows = await view.connection.fetch(SECTIONS_WITHOUT_HEAD, view.municipality, view.today)
    return [
        WorkItem(
            id=f"section-head-{row['section_id']}",
            kind="mend",
            title=f"{row['name']}の長が決まっていません",
            note=_note(row["awaited_head_number"]),
            since=_since(row["vacant_since"] or row["created_on"], view.now),
            target=Target(kind="section", id=str(row["section_id"])),
        )
        for row in rows
    ]


def _note(awaited: str | None) -> str:
    if awaited:
        return f"職員番号{awaited}の職員がまだ登録されていません。職員を取り込むか、長を登録してください。"
    return "長を登録してください。空席の間は、選出の返事を総務課が代わりに入れます。"


def _since(day: object, now: datetime) -> datetime:
    return min(at(day, "00:00"), now)  # type: ignore[arg-type]  # a date of the row


async def present_states(connection: Connection, keys: Sequence[Key]) -> Mapping[Key, str]:
    """The state of each person as it is now; who is missing was erased."""
    people = [(municipality, aggregate.partition("/")[2]) for municipality, aggregate in keys]
    rows = await connection.fetch(SELECT_STATES, [town for town, _ in people], [person for _, person in people])
    return {
        (row["municipality"], f"person/{row['person_id']}"): PersonStateV1(
            person_id=row["person_id"],
            state_version=row["state_version"],
            name=row["name"],
            kana=row["kana"],
            mail=row["mail"],
            section_id=row["section_id"],
            post=row["post"],
            left=row["left"],
        ).write()
        for row in rows
    }

"""今日の仕事: what the service wants from a person today."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from chassis.auth import Caller
from chassis.http import Target, View, WorkItem
from services.consultations import repository
from services.consultations.domain.consultation import Consultation
from services.consultations.queries.people import names_of, party_of, section_names
from services.consultations.queries.wording import DESK_LABELS, UNKNOWN_NAME, UNKNOWN_SECTION

_WORK = f"""
SELECT {repository.COLUMNS} FROM consultations
WHERE municipality = $1 AND state <> 'resolved'
  AND ((requester_person_id = $2 AND state IN ('waiting_requester', 'answered'))
       OR (desk = ANY($3) AND requester_person_id <> $2 AND state = 'open'
           AND (assignee_person_id IS NULL OR assignee_person_id = $2))
       OR (assignee_person_id = $2 AND state = 'open'))
ORDER BY answer_due_at NULLS LAST, changed_at, consultation_id
LIMIT 200
"""


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """Cases to take, to answer, to reply to, to confirm; the nearest due first."""
    party = party_of(caller)
    rows = await view.connection.fetch(_WORK, view.municipality, caller.person_id, sorted(party.desks))
    found = [Consultation(**row) for row in rows]
    names = await names_of(view, [it.requester_person_id for it in found])
    sections = await section_names(view, [it.section_id for it in found])
    return [
        _work_item(
            it,
            caller,
            asker=f"{sections.get(it.section_id, UNKNOWN_SECTION)} "
            f"{names.get(it.requester_person_id, UNKNOWN_NAME)}さんの相談",
            now=view.now,
        )
        for it in found
    ]


def _work_item(it: Consultation, caller: Caller, *, asker: str, now: datetime) -> WorkItem:
    if it.requester_person_id == caller.person_id:
        asked_back = it.state == "waiting_requester"
        kind: Literal["assign", "answer", "confirm"] = "answer" if asked_back else "confirm"
        title = f"{it.number} {it.title}：{'質問に返事をする' if asked_back else '回答を確かめて解決にする'}"
        note = f"{DESK_LABELS[it.desk]}から{'質問' if asked_back else '回答'}が届いています"
    else:
        kind = "answer" if it.assignee_person_id else "assign"
        title = f"{it.number} {it.title}：{'答える' if it.assignee_person_id else '担当を決める'}"
        note = f"{asker}。回答の期限を過ぎています" if it.overdue(now) else asker
    return WorkItem(
        id=f"{kind}:{it.consultation_id}",
        kind=kind,
        title=title,
        note=note,
        due_at=it.answer_due_at,
        since=it.changed_at,
        target=Target(kind="consultation", id=str(it.consultation_id)),
    )

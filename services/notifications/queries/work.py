"""今日の仕事: what could not be brought to anybody."""

from __future__ import annotations

from datetime import datetime

from chassis.auth import Caller
from chassis.http import Target, View, WorkItem

_FAILED = """
SELECT count(*) FILTER (WHERE reason IS DISTINCT FROM 'no_address') AS failed,
       min(settled_at) FILTER (WHERE reason IS DISTINCT FROM 'no_address') AS failed_since,
       count(DISTINCT person_id) FILTER (WHERE reason = 'no_address') AS addressless,
       min(settled_at) FILTER (WHERE reason = 'no_address') AS addressless_since
FROM deliveries WHERE municipality = $1 AND state = 'failed' AND acknowledged_at IS NULL
"""


async def work_items(view: View, caller: Caller) -> list[WorkItem]:
    """For an administrator: notices that could not be brought to anybody; for hr too: people without an address."""
    if not caller.has("admin", "hr"):
        return []
    row = await view.connection.fetchrow(_FAILED, view.municipality)
    items = []
    if row and row["failed"] and caller.has("admin"):
        title = f"届けられなかったお知らせ {row['failed']}件を確かめる"
        items.append(
            _to_mend("failed-deliveries", title, "理由を見て直し、もう一度送ってください", row["failed_since"])
        )
    if row and row["addressless"]:
        title = f"メールアドレスのない職員 {row['addressless']}人を確かめる"
        note = "職員の名簿に登録するか、ほかの方法で伝えてください"
        items.append(_to_mend("addresses", title, note, row["addressless_since"]))
    return items


def _to_mend(what: str, title: str, note: str, since: datetime) -> WorkItem:
    target = Target(kind="deliveries", id="failed")
    return WorkItem(id=f"mend:{what}", kind="mend", title=title, note=note, since=since, target=target)

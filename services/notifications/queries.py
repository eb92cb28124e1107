"""What the screens show: the inbox, deliveries, an administrator's work; and the names that texts are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg
from jinja2 import TemplateError
from pydantic import BaseModel, Field

from chassis.auth import Caller
from chassis.http import Page, Target, View, WorkItem, page_of
from chassis.http.paging import PageRequest
from chassis.transaction import Connection
from services.notifications.domain import State
from services.notifications.templates import UNKNOWN_PERSON, Names, Rendered, render
from taiwa_contracts.notifications import Channel

STATE_LABELS: dict[State, str] = {
    "waiting": "送る前",
    "handed_over": "メールサーバーに渡した",
    "delivered": "届いた",
    "failed": "届けられない",
    "cancelled": "取りやめた",
}
_REASONS = {
    "no_address": "メールアドレスの登録がありません。職員の名簿に登録すると、10日以内のお知らせは自動で送ります。",
    "bad_address": "メールアドレスの形が正しくありません。職員の名簿を直してから、もう一度送ってください。",
    "notice_unreadable": "文面を作れませんでした。管理者が記録を確かめてください。",
    "address_arrived": "メールアドレスが登録されました。まもなく送ります。",
    "person_unknown": "職員の登録がまだ届いていません。届きしだい送ります。",
    "person_erased": "職員の登録が消去されたため、取りやめました。",
    "unreachable": "メールサーバーにつながりません。つながりしだい送ります。",
    "sign_in_refused": "メールサーバーにログインできません。管理者が設定を確かめてください。",
}


UNREADABLE = Rendered("お知らせ", "このお知らせの文面を表示できません。総合政策課にお知らせください。")


class InboxItem(BaseModel):
    """A notice in a person's inbox. ``title`` and ``body`` are plain text, to be escaped by whoever shows them."""

    id: UUID
    title: str
    body: str
    created_at: datetime
    read_at: datetime | None
    target: Target


class InboxSummary(BaseModel):
    """How many notices are unread."""

    unread: int


class DeliveryView(BaseModel):
    """One delivery: event x recipient x channel."""

    id: UUID
    cause_event_id: UUID
    person_id: UUID
    person_name: str
    channel: Channel
    template: str
    state: State
    state_label: str
    reason: str | None = Field(description="stable code of the last failure, for example smtp_550")
    reason_text: str | None
    mails: int = Field(description="1; of a person without an address: how many mails failed for want of it")
    attempts: int
    next_attempt_at: datetime | None = Field(description="machine time; null: none is due")
    created_at: datetime
    settled_at: datetime | None = Field(description="machine time at which it was handed over, delivered or given up")
    target: Target


class LateDelivery(BaseModel):
    """A notice that came later than it should have, or has not come yet. All times are machine time."""

    id: UUID
    person_id: UUID
    person_name: str
    channel: Channel
    title: str
    state: State
    state_label: str
    happened_at: datetime = Field(description="when what it tells of was recorded")
    settled_at: datetime | None = Field(description="when it was handed over or delivered; null: it still waits")
    late_seconds: float
    repeated_at: datetime | None = Field(
        description="sent again, with the same Message-ID, because nothing told how the attempt before it ended"
    )
    reason_text: str | None


class LateDeliveries(Page[LateDelivery]):
    """A page of them, the oldest event first, and what all pages together say."""

    total: int
    people: int
    waiting: int
    repeated: int
    first_happened_at: datetime | None
    last_settled_at: datetime | None


_INBOX = """
SELECT delivery_id, template, particulars, text_id, target_kind, target_id, created_at, read_at FROM deliveries
WHERE municipality = $1 AND person_id = $2 AND channel = 'in_app' AND (NOT $3 OR read_at IS NULL)
  AND ($4::timestamptz IS NULL OR (created_at, delivery_id) < ($4, $5::uuid))
ORDER BY created_at DESC, delivery_id DESC LIMIT $6
"""

_UNREAD = """
SELECT count(*) FROM deliveries
WHERE municipality = $1 AND person_id = $2 AND channel = 'in_app' AND read_at IS NULL
"""

_DELIVERIES = """
SELECT delivery_id, cause_event_id, person_id, channel, template, state, reason, attempts, attempt_at, created_at,
       settled_at, target_kind, target_id, 1 AS mails
FROM deliveries
WHERE municipality = $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR channel = $3)
  AND ($4::timestamptz IS NULL OR (created_at, delivery_id) < ($4, $5::uuid))
ORDER BY created_at DESC, delivery_id DESC LIMIT $6
"""

# A person without an address is one thing to mend, however many mails failed for it: the newest stands for all.
_TO_MEND = """
SELECT delivery_id, cause_event_id, person_id, channel, template, state, reason, attempts, attempt_at, created_at,
       settled_at, target_kind, target_id,
       CASE WHEN reason = 'no_address'
            THEN (SELECT count(*) FROM deliveries AS other
                  WHERE other.municipality = $1 AND other.person_id = it.person_id AND other.state = 'failed'
                    AND other.acknowledged_at IS NULL AND other.reason = 'no_address')
            ELSE 1 END AS mails
FROM deliveries AS it
WHERE municipality = $1 AND state = 'failed' AND acknowledged_at IS NULL AND ($2::text IS NULL OR channel = $2)
  AND ($3::timestamptz IS NULL OR (created_at, delivery_id) < ($3, $4::uuid))
  AND (reason IS DISTINCT FROM 'no_address' OR NOT EXISTS (
      SELECT FROM deliveries AS newer
      WHERE newer.municipality = $1 AND newer.person_id = it.person_id AND newer.state = 'failed'
        AND newer.acknowledged_at IS NULL AND newer.reason = 'no_address'
        AND (newer.created_at, newer.delivery_id) > (it.created_at, it.delivery_id)))
ORDER BY created_at DESC, delivery_id DESC LIMIT $5
"""

# The event's id is a UUIDv7: it bears the moment of its command. An id without one is passed over.
_LATE = """
SELECT * FROM (
    SELECT *, uuid_extract_timestamp(cause_event_id) AS happened_at FROM deliveries
    WHERE municipality = $1 AND (state = 'waiting' OR settled_at >= $2)
) AS delivery
WHERE state IN ('waiting', 'handed_over', 'delivered')
  AND (coalesce(settled_at, $3) - happened_at > $4::interval OR repeated_at >= $2)
"""

_LATE_PAGE = f"""
SELECT * FROM ({_LATE}) AS late WHERE $5::timestamptz IS NULL OR (happened_at, delivery_id) > ($5, $6::uuid)
ORDER BY happened_at, delivery_id LIMIT $7
"""

_LATE_TOGETHER = f"""
SELECT count(*) AS total, count(DISTINCT person_id) AS people, count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(repeated_at) AS repeated, min(happened_at) AS first_happened_at, max(settled_at) AS last_settled_at
FROM ({_LATE}) AS late
"""

_FAILED = """
SELECT count(*) FILTER (WHERE reason IS DISTINCT FROM 'no_address') AS failed,
       min(settled_at) FILTER (WHERE reason IS DISTINCT FROM 'no_address') AS failed_since,
       count(DISTINCT person_id) FILTER (WHERE reason = 'no_address') AS addressless,
       min(settled_at) FILTER (WHERE reason = 'no_address') AS addressless_since
FROM deliveries WHERE municipality = $1 AND state = 'failed' AND acknowledged_at IS NULL
"""

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


async def inbox(view: View, person_id: UUID, paging: PageRequest, *, unread: bool) -> Page[InboxItem]:
    """A person's notices, the newest first, as they read with today's names."""
    created_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    rows = await view.connection.fetch(
        _INBOX, view.municipality, person_id, unread, created_at, last_id, paging.limit + 1
    )
    page, cursor = page_of(rows, paging, _place)
    told = [json.loads(row["particulars"]) for row in page]
    texts = [row["text_id"] for row in page]
    names = await known_names(view.connection, view.municipality, view.today, told, texts)
    items = []
    for row, particulars in zip(page, told, strict=True):
        notice = _readable(row["template"], particulars, names, row["text_id"])
        items.append(
            InboxItem(
                id=row["delivery_id"],
                title=notice.subject,
                body=notice.body,
                created_at=row["created_at"],
                read_at=row["read_at"],
                target=_target(row),
            )
        )
    return Page(items=items, next_cursor=cursor)


async def inbox_summary(view: View, person_id: UUID) -> InboxSummary:
    """How many notices of a person are unread."""
    return InboxSummary(unread=await view.connection.fetchval(_UNREAD, view.municipality, person_id))


async def deliveries(
    view: View, paging: PageRequest, *, state: State | None, channel: Channel | None, acknowledged: bool
) -> Page[DeliveryView]:
    """Deliveries of the municipality, the newest first.

    Of what failed only what needs a hand, a person without an address once; all of it if ``acknowledged``.
    """
    place = (*(paging.last(datetime.fromisoformat, UUID) or (None, None)), paging.limit + 1)
    if state == "failed" and not acknowledged:
        rows = await view.connection.fetch(_TO_MEND, view.municipality, channel, *place)
    else:
        rows = await view.connection.fetch(_DELIVERIES, view.municipality, state, channel, *place)
    page, cursor = page_of(rows, paging, _place)
    people = await recipients(view.connection, view.municipality, [row["person_id"] for row in page])
    return Page(items=[_delivery_view(row, people) for row in page], next_cursor=cursor)


async def late_deliveries(
    view: View, paging: PageRequest, *, since: datetime, now: datetime, allowed: timedelta
) -> LateDeliveries:
    """What came more than ``allowed`` after its event, since then, or still waits so long; machine time."""
    happened_at, last_id = paging.last(datetime.fromisoformat, UUID) or (None, None)
    given = (view.municipality, since, now, allowed)
    rows = await view.connection.fetch(_LATE_PAGE, *given, happened_at, last_id, paging.limit + 1)
    page, cursor = page_of(rows, paging, lambda row: (row["happened_at"].isoformat(), row["delivery_id"]))
    together = await view.connection.fetchrow(_LATE_TOGETHER, *given)
    people = await recipients(view.connection, view.municipality, [row["person_id"] for row in page])
    told = [json.loads(row["particulars"]) for row in page]
    names = await known_names(view.connection, view.municipality, view.today, told)
    return LateDeliveries(
        items=[
            LateDelivery(
                id=row["delivery_id"],
                person_id=row["person_id"],
                person_name=_person_name(row, people),
                channel=row["channel"],
                title=_readable(row["template"], particulars, names, None).subject,
                state=row["state"],
                state_label=STATE_LABELS[row["state"]],
                happened_at=row["happened_at"],
                settled_at=row["settled_at"],
                late_seconds=((row["settled_at"] or now) - row["happened_at"]).total_seconds(),
                repeated_at=row["repeated_at"],
                reason_text=_reason_text(row["reason"]),
            )
            for row, particulars in zip(page, told, strict=True)
        ],
        next_cursor=cursor,
        **dict(together or {}),
    )


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


def _readable(template: str, particulars: Mapping[str, str], names: Names, text_id: UUID | None) -> Rendered:
    """The notice; one that can no longer be put into words must not close the whole inbox."""
    try:
        return render(template, particulars, names, text_id)
    except (TemplateError, ValueError):
        return UNREADABLE


def _delivery_view(row: asyncpg.Record, people: dict[UUID, Recipient]) -> DeliveryView:
    state: State = row["state"]
    return DeliveryView(
        id=row["delivery_id"],
        cause_event_id=row["cause_event_id"],
        person_id=row["person_id"],
        person_name=_person_name(row, people),
        channel=row["channel"],
        template=row["template"],
        state=state,
        state_label=STATE_LABELS[state],
        reason=row["reason"],
        reason_text=_reason_text(row["reason"], row["mails"]),
        mails=row["mails"],
        attempts=row["attempts"],
        next_attempt_at=row["attempt_at"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
        target=_target(row),
    )


def _person_name(row: asyncpg.Record, people: Mapping[UUID, Recipient]) -> str:
    person = people.get(row["person_id"])
    return (person.name if person else None) or UNKNOWN_PERSON


def _reason_text(reason: str | None, mails: int = 1) -> str | None:
    if reason is None or reason in _REASONS:
        many = f"送れなかったお知らせが{mails}通あります。" if mails > 1 else ""
        return many + _REASONS[reason] if reason else None
    return f"メールサーバーが受け取りませんでした（{reason.removeprefix('smtp_')}）。宛先を確かめてください。"


def _target(row: asyncpg.Record) -> Target:
    return Target(kind=row["target_kind"], id=row["target_id"])


def _place(row: asyncpg.Record) -> tuple[str, UUID]:
    return row["created_at"].isoformat(), row["delivery_id"]

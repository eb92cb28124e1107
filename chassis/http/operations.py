"""``/operations``: what a municipality's administrator sees and does while a service runs.

Every service with messaging has these routes. They work as the worker role in the scope of the caller's municipality:
row-level security shows the own letters only. A letter holds a payload, so looking at one is recorded like replaying
or discarding it. Stops belong to no municipality: their cause is told, their recorded reason is not.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from chassis.auth import Caller
from chassis.clocks import machine_now
from chassis.database import Database
from chassis.dead_letters import headers_of
from chassis.health import Check, Health
from chassis.http.commands import CommandRunner, command_runner
from chassis.http.dependencies import allow
from chassis.http.paging import Page, PageRequest, Paging, page_of
from chassis.http.views import View
from chassis.http.work_items import Target, WorkItem
from chassis.operations import acts, letters, standing, stops
from chassis.operations.acts import Act, Operator
from chassis.operations.difference import State, difference
from chassis.operations.letters import Choice
from chassis.operations.stops import Cause
from chassis.refusals import NotFound, Refusal
from chassis.service import Service
from chassis.transaction import Transaction

ADMINISTRATOR = "admin"
HELD_SHOWN = 50
TIMERS_SHOWN = 100
REPLAYED_AT_ONCE = 1000
VALUE_SHOWN = 65_536
"""Bytes of a payload that an answer holds; ``size`` says how many there are."""

_LATEST = timedelta(days=1)

Kind = Literal["dead", "deferred", "held"]
Reason = Annotated[str, Field(max_length=500)]
Given = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Letter(BaseModel):
    """An open dead letter: a record or a timer that could not be applied."""

    id: UUID
    consumer: str
    source: Literal["record", "timer"]
    kind: Kind = Field(description="dead: waits for an operator; deferred: is tried again by itself at `retry_at`")
    event_id: UUID | None
    type: str | None = Field(description="CloudEvents type; of a timer its name")
    aggregate: str | None
    version: int | None
    topic: str | None
    partition: int | None
    offset: int | None
    code: str = Field(description="why, stable")
    error: str = Field(description="why, in words; English")
    attempts: int
    written_at: datetime = Field(description="machine time")
    retry_at: datetime | None
    held_behind: int = Field(description="later records of the same key that wait")


class HeldLetter(BaseModel):
    """A record that waits behind a letter."""

    id: UUID
    event_id: UUID | None
    type: str | None
    aggregate: str | None
    version: int | None
    offset: int
    written_at: datetime


class HeaderShown(BaseModel):
    """One header of the record. ``value`` is null for a null header; bytes that are no text stand as base64."""

    name: str
    value: str | None
    encoding: Literal["text", "base64"]


class FieldShown(BaseModel):
    """One field of the payload beside what the schema expects."""

    name: str
    state: State
    expected: str = Field(description="a word of JSON Schema; choices are joined by a bar")
    given: str | None = Field(description="JSON text, shortened")
    problem: str


class Payload(BaseModel):
    """The record's bytes. ``value`` holds the first 64 KiB, as text or, where they are none, as base64."""

    value: str | None
    encoding: Literal["text", "base64"]
    size: int
    schema_type: str | None = Field(description="the type it was compared with; null: nobody here wants this one")
    fields: list[FieldShown]


class LetterDetail(Letter):
    """One letter with everything that is known of it."""

    closed_at: datetime | None
    outcome: Literal["applied", "discarded"] | None
    headers: list[HeaderShown]
    payload: Payload | None = Field(description="null: a timer, or not asked for")
    held: list[HeldLetter] = Field(description=f"the first {HELD_SHOWN}, in order")


class StopShown(BaseModel):
    """Something that stands still. ``topic`` is null where the whole consumer does."""

    consumer: str
    scope: Literal["stopped", "paused", "blocked"]
    topic: str | None
    partition: int | None
    cause: Cause
    since: datetime
    resumable: bool = Field(description="false: trying again does not help; the installation's operator must act")


class TimerShown(BaseModel):
    """A timer that is over its time and has not run."""

    name: str
    aggregate: str
    due_at: datetime = Field(description="civil time")
    attempts: int


class LateTimer(BaseModel):
    """A timer that ran late."""

    name: str
    aggregate: str
    due_at: datetime = Field(description="civil time")
    ran_at: datetime = Field(description="civil time")


class LettersCounted(BaseModel):
    """Open letters of one kind."""

    kind: Kind
    letters: int
    since: datetime


class StandingShown(BaseModel):
    """What of the caller's municipality stands still in this service, or waits longer than it should."""

    service: str
    as_of: datetime = Field(description="machine time")
    checks: list[Check] = Field(description="of this process; `reason` is English, for the installation's operator")
    stops: list[StopShown]
    letters: list[LettersCounted]
    unpublished: int = Field(description="events that Kafka does not have yet; 1001 means more than a thousand")
    unpublished_since: datetime | None
    lag: dict[str, int] | None = Field(
        description="records behind, by topic, of every municipality; null: this process does not know"
    )
    overdue_timers: list[TimerShown]


class ActShown(BaseModel):
    """What somebody did."""

    act: Act
    letter: UUID | None
    type: str | None
    aggregate: str | None
    topic: str | None
    partition: int | None
    operator_kind: Literal["staff", "operator"]
    operator: str = Field(description="a person's id, or the login of the installation's operator")
    reason: str
    acted_at: datetime


class Replay(BaseModel):
    """Why it is tried again."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason = ""


class Discard(BaseModel):
    """Why it is given up."""

    model_config = ConfigDict(extra="forbid")
    reason: Given


class ReplayChosen(BaseModel):
    """Which letters are tried again, and why. ``dry_run`` only counts them."""

    model_config = ConfigDict(extra="forbid")
    consumer: str | None = Field(default=None, max_length=200)
    type: str | None = Field(default=None, max_length=200)
    code: str | None = Field(default=None, max_length=200)
    aggregate: str | None = Field(default=None, max_length=500)
    reason: Reason = ""
    dry_run: bool = False


class Resume(BaseModel):
    """What is to go on, and why. Without a topic: the whole consumer."""

    model_config = ConfigDict(extra="forbid")
    consumer: str = Field(max_length=200)
    topic: str | None = Field(default=None, max_length=200)
    partition: int | None = Field(default=None, ge=0, le=2**31 - 1)
    reason: Reason = ""


class Acted(BaseModel):
    """How many were acted on, or would be."""

    count: int
    more: bool = Field(default=False, description="there are more; ask again")


class StopOfAllTowns(Refusal):
    """A consumer reads the records of every town; where there are several, no one of them speaks for the others."""

    code = "operations.stop_of_all_towns"
    status = 403
    ja = "この受け手はすべての団体に共通です。再開は、保守の担当に頼んでください。"
    en = "All towns share this consumer; its operator lets it go on: taiwa dead-letters resume."


@dataclass(frozen=True, slots=True)
class Desk:
    """The worker's database, for one administrator of one municipality."""

    database: Database
    service: Service
    health: Health
    caller: Caller

    @asynccontextmanager
    async def view(self, *, read_only: bool = True) -> AsyncIterator[View]:
        """A connection that sees the administrator's municipality."""
        async with self.database.scoped(self.caller.municipality, read_only=read_only) as connection:
            clock = await self.database.civil_clock(connection)
            yield View(connection, self.caller.municipality, clock.now())

    @property
    def may_resume(self) -> bool:
        """Whether what stands still is this town's alone."""
        return not self.service.settings.installation.several_towns

    @property
    def operator(self) -> Operator:
        """Who acts."""
        return Operator("staff", str(self.caller.person_id))


async def _desk(request: Request, caller: Annotated[Caller, Depends(allow(ADMINISTRATOR))]) -> Desk:
    state = request.app.state
    return Desk(state.worker, state.service, state.health, caller)


async def _commands(request: Request, runner: Annotated[CommandRunner, Depends(command_runner)]) -> CommandRunner:
    return runner.on(request.app.state.worker)


Administrator = Annotated[Desk, Depends(_desk)]
Commands = Annotated[CommandRunner, Depends(_commands)]

router = APIRouter(prefix="/operations", tags=["operations"])


def is_operated(service: Service) -> bool:
    """Whether a service has messaging, and with it something to operate."""
    return bool(service.emits or service.consumes or service.timers)


def install(app: FastAPI, worker: Database, health: Health) -> None:
    """Give a service these routes. ``worker`` is its worker role's database."""
    app.state.worker = worker
    app.state.health = health
    app.include_router(router)


async def work_items(worker: Database, service: Service, caller: Caller) -> list[WorkItem]:
    """For an administrator: what could not be processed, and what stands still."""
    if not caller.has(ADMINISTRATOR):
        return []
    async with worker.scoped(caller.municipality, read_only=True) as connection:
        dead = (await letters.counted(connection, caller.municipality)).get("dead")
        several = service.settings.installation.several_towns
        still = [] if several else await stops.every(connection)
    items = []
    if dead is not None:
        items.append(
            WorkItem(
                id="mend:dead-letters",
                kind="mend",
                title=f"届いたのに処理できなかった知らせ {dead[0]}件を確かめる",
                note="理由を見て、やり直すか破棄してください",
                since=dead[1],
                target=Target(kind="dead-letters", id=service.name),
            )
        )
    if still:
        items.append(
            WorkItem(
                id="mend:stops",
                kind="mend",
                title="止まっている知らせの受け手を確かめる",
                note="なぜ止まったか、何をすればよいかを見て、再開してください",
                since=still[0].since,
                target=Target(kind="stops", id=service.name),
            )
        )
    return items


@router.get("/standing")
async def standing_still(desk: Administrator) -> StandingShown:
    """What stands still or is late at this moment."""
    checks = await desk.health.standing_checks()
    lag = desk.health.lag()
    async with desk.view() as view:
        connection, municipality = view.connection, view.municipality
        waiting = await standing.unpublished(connection, municipality)
        return StandingShown(
            service=desk.service.name,
            as_of=machine_now(),
            checks=checks,
            stops=[_stop(it, may_resume=desk.may_resume) for it in await stops.every(connection)],
            letters=[
                LettersCounted(kind=kind, letters=count, since=since)
                for kind, (count, since) in (await letters.counted(connection, municipality)).items()
            ],
            unpublished=waiting.events,
            unpublished_since=waiting.since,
            lag=None if lag is None else dict(lag),
            overdue_timers=[
                TimerShown(name=row["name"], aggregate=row["aggregate"], due_at=row["due_at"], attempts=row["attempts"])
                for row in await standing.overdue(connection, municipality, view.now, TIMERS_SHOWN)
            ],
        )


@router.get("/dead-letters")
async def dead_letters(
    desk: Administrator,
    paging: Paging,
    *,
    consumer: Annotated[str | None, Query(max_length=200)] = None,
    type: Annotated[str | None, Query(max_length=200)] = None,  # noqa: A002  the name in the query
    code: Annotated[str | None, Query(max_length=200, description="the reason's code")] = None,
    aggregate: Annotated[str | None, Query(max_length=500)] = None,
    kind: Annotated[list[Kind], Query()] = ["dead", "deferred"],  # noqa: B006  FastAPI copies it
) -> Page[Letter]:
    """Open letters of the municipality, the oldest first, without their payloads."""
    choice = Choice(consumer, type, code, aggregate, tuple(kind))
    async with desk.view() as view:
        rows = await letters.oldest(
            view.connection,
            view.municipality,
            choice,
            after=_last(paging),
            limit=paging.limit + 1,
        )
    page, cursor = page_of(rows, paging, lambda row: (row["written_at"].isoformat(), row["id"]))
    return Page(items=[Letter(**_known(Letter, row)) for row in page], next_cursor=cursor)


@router.get("/dead-letters/{letter_id}")
async def dead_letter(
    letter_id: UUID,
    desk: Administrator,
    *,
    payload: Annotated[bool, Query(description="false: without payload and headers, and without a record")] = True,
) -> LetterDetail:
    """One letter with payload, headers and what waits behind it. That it was seen is recorded."""
    async with desk.view(read_only=False) as view:
        row = await letters.one(view.connection, view.municipality, letter_id)
        if row is None:
            raise NotFound
        behind = await letters.behind(view.connection, view.municipality, letter_id, HELD_SHOWN)
        if payload:
            await acts.note(view.connection, desk.operator, "seen", [letters.subject(row)])
    return LetterDetail(
        **_known(Letter, row),
        closed_at=row["closed_at"],
        outcome=row["outcome"],
        headers=[_header(name, value) for name, value in headers_of(row["headers"] or "[]")] if payload else [],
        payload=_payload(desk.service, row["type"], row["value"]) if payload and row["source"] == "record" else None,
        held=[HeldLetter(**_known(HeldLetter, each)) for each in behind],
    )


@router.post("/dead-letters/replay", response_model=Acted)
async def replay_chosen(chosen: ReplayChosen, desk: Administrator, runner: Commands) -> Response:
    """Try all letters that fit again, the oldest first, at most a thousand at once; nothing chosen is all."""
    choice = Choice(chosen.consumer, chosen.type, chosen.code, chosen.aggregate)

    async def use_case(tx: Transaction) -> Acted:
        rows = await letters.oldest(tx.connection, tx.municipality, choice, limit=REPLAYED_AT_ONCE + 1)
        found = [row["id"] for row in rows[:REPLAYED_AT_ONCE]]
        if not chosen.dry_run:
            subjects = await letters.replay(tx.connection, found)
            await acts.note(tx.connection, desk.operator, "replayed", subjects, reason=chosen.reason)
        return Acted(count=len(found), more=len(rows) > REPLAYED_AT_ONCE)

    return await runner.run(desk.caller, use_case)


@router.post("/dead-letters/{letter_id}/replay", response_model=Acted)
async def replay(letter_id: UUID, body: Replay, desk: Administrator, runner: Commands) -> Response:
    """Try one again, at once; what is held behind it follows in order."""

    async def use_case(tx: Transaction) -> Acted:
        await _own(tx, letter_id)
        subjects = await letters.replay(tx.connection, [letter_id])
        await acts.note(tx.connection, desk.operator, "replayed", subjects, reason=body.reason)
        return Acted(count=1)

    return await runner.run(desk.caller, use_case)


@router.post("/dead-letters/{letter_id}/discard", response_model=Acted)
async def discard(letter_id: UUID, body: Discard, desk: Administrator, runner: Commands) -> Response:
    """Give one up for ever; what is held behind it goes on."""

    async def use_case(tx: Transaction) -> Acted:
        await _own(tx, letter_id)
        subject = await letters.discard(tx.connection, letter_id)
        await acts.note(tx.connection, desk.operator, "discarded", [subject], reason=body.reason)
        return Acted(count=1)

    return await runner.run(desk.caller, use_case)


@router.post("/stops/resume", response_model=Acted)
async def resume(body: Resume, desk: Administrator, runner: Commands) -> Response:
    """Let a consumer, a partition or a key that stands still be tried again. Going on already is no mistake."""
    if not desk.may_resume:
        raise StopOfAllTowns

    async def use_case(tx: Transaction) -> Acted:
        partition = -1 if body.partition is None else body.partition
        subject = await stops.resume(tx.connection, body.consumer, body.topic or "", partition)
        if subject is None:
            return Acted(count=0)
        own = acts.Subject(tx.municipality, topic=subject.topic, partition=subject.partition)
        await acts.note(tx.connection, desk.operator, "resumed", [own], reason=body.reason)
        return Acted(count=1)

    return await runner.run(desk.caller, use_case)


@router.get("/late-timers")
async def late_timers(
    desk: Administrator,
    since: Annotated[AwareDatetime | None, Query(description="machine time; none: the last 24 hours")] = None,
) -> list[LateTimer]:
    """Timers that ran late, the newest first, at most a hundred."""
    async with desk.view() as view:
        rows = await standing.ran_late(
            view.connection, view.municipality, since or machine_now() - _LATEST, TIMERS_SHOWN
        )
    return [LateTimer(**_known(LateTimer, row)) for row in rows]


@router.get("/acts")
async def what_was_done(
    desk: Administrator, paging: Paging, letter: Annotated[UUID | None, Query()] = None
) -> Page[ActShown]:
    """Who saw, replayed or discarded what, the newest first."""
    async with desk.view() as view:
        rows = await acts.newest(
            view.connection, view.municipality, letter=letter, before=_last(paging), limit=paging.limit + 1
        )
    page, cursor = page_of(rows, paging, lambda row: (row["acted_at"].isoformat(), row["id"]))
    return Page(items=[ActShown(**_known(ActShown, row)) for row in page], next_cursor=cursor)


async def _own(tx: Transaction, letter: UUID) -> None:
    if await letters.one(tx.connection, tx.municipality, letter) is None:
        raise NotFound


def _last(paging: PageRequest) -> tuple[datetime, UUID] | None:
    last = paging.last(datetime.fromisoformat, UUID)
    return None if last is None else (last[0], last[1])


def _known(shape: type[BaseModel], row: asyncpg.Record) -> dict[str, Any]:
    return {name: row[name] for name in shape.model_fields if name in row}


def _stop(it: stops.Standing, *, may_resume: bool) -> StopShown:
    return StopShown(
        consumer=it.consumer,
        scope=it.scope,
        topic=it.topic or None,
        partition=it.partition if it.partition >= 0 else None,
        cause=it.cause,
        since=it.since,
        resumable=it.resumable and may_resume,
    )


def _text(value: bytes) -> tuple[str, Literal["text", "base64"]]:
    """Bytes as text where they are text without control characters that no page shows, else as base64."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
    return (base64.b64encode(value).decode(), "base64") if "\x00" in text else (text, "text")


def _header(name: str, value: bytes | None) -> HeaderShown:
    text, encoding = _text(value or b"")
    return HeaderShown(name=name, value=None if value is None else text, encoding=encoding)


def _payload(service: Service, type_: str | None, value: bytes | None) -> Payload:
    found = difference(type_, value, service.consumes)
    shown = (value or b"")[:VALUE_SHOWN]
    while shown and value is not None and len(shown) < len(value) and shown[-1] & 0x80:
        shown = shown[:-1]  # not in the middle of a character
    text, encoding = _text(shown)
    return Payload(
        value=None if value is None else text,
        encoding=encoding,
        size=len(value or b""),
        schema_type=found.type,
        fields=[
            FieldShown(name=it.name, state=it.state, expected=it.expected, given=it.given, problem=it.problem)
            for it in found.fields
        ],
    )

"""The smallest service: notes on a board. The chassis is tested through it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, Views, allow, anybody, page_of
from chassis.refusals import Article, FieldError, NotFound, Refusal
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.transaction import Transaction, new_id
from taiwa_contracts.event import Event


class NotePostedV1(Event):
    TYPE: ClassVar[str] = "taiwa.noticeboard.note-posted.v1"
    TOPIC: ClassVar[str] = "noticeboard.events"
    AGGREGATE: ClassVar[str] = "note"
    KEY: ClassVar[tuple[str, ...]] = ("note_id",)
    note_id: UUID
    title: str


class BoardFull(Refusal):
    code = "noticeboard.full"
    status = 409
    ja = "掲示板がいっぱいです。{most}件までです。"
    en = "The board is full: {most} notes at most."


class NewNote(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: Annotated[str, Field(min_length=1, max_length=100)]
    priority: Annotated[int, Field(ge=0, le=9)] = 0
    shelf: int = 0  # bounded by its column only, as a service may forget to say


class Note(BaseModel):
    note_id: UUID
    version: int
    title: str
    posted_at: datetime


router = APIRouter(tags=["notes"])


async def post_note(tx: Transaction, title: str, shelf: int) -> Note:
    if title == "full":
        raise BoardFull(
            most=3,
            article=Article("掲示板要綱第2条", "掲示は3件までとする。", fictional=True),
            errors=[FieldError("title", "別の板を選んでください。", "choose another board")],
        )
    if title == "defect":
        raise RuntimeError("a defect, with something secret in it")
    if title == "restarting":
        raise asyncpg.AdminShutdownError("terminating connection due to administrator command")
    note = Note(note_id=new_id(), version=1, title=title, posted_at=tx.now)
    await tx.connection.execute(
        "INSERT INTO notes (municipality, note_id, version, title, posted_at, shelf) VALUES ($1, $2, 1, $3, $4, $5)",
        tx.municipality,
        note.note_id,
        note.title,
        note.posted_at,
        shelf,
    )
    if title == "slow":
        await tx.connection.execute("SELECT pg_sleep(0.5)")
    tx.emit(NotePostedV1(note_id=note.note_id, title=title), version=1)
    return note


@router.post("/notes", status_code=201, response_model=Note)
async def post(body: NewNote, caller: Annotated[Caller, Depends(allow("hr"))], commands: Commands) -> object:
    return await commands.run(caller, lambda tx: post_note(tx, body.title, body.shelf), status=201)


@router.get("/notes")
async def notes(caller: Annotated[Caller, Depends(anybody)], views: Views, paging: Paging) -> Page[Note]:
    last = paging.last(UUID)
    async with views.of(caller) as view:
        rows = await view.connection.fetch(
            """
            SELECT * FROM notes WHERE municipality = $1 AND ($2::uuid IS NULL OR note_id > $2)
            ORDER BY note_id LIMIT $3
            """,
            view.municipality,
            last[0] if last else None,
            paging.limit + 1,
        )
    page, following = page_of(rows, paging, lambda row: [row["note_id"]])
    return Page(items=[Note(**row) for row in page], next_cursor=following)


@router.get("/notes/{note_id}")
async def note(note_id: UUID, caller: Annotated[Caller, Depends(anybody)], views: Views) -> Note:
    async with views.of(caller) as view:
        row = await view.connection.fetchrow(
            "SELECT * FROM notes WHERE municipality = $1 AND note_id = $2", view.municipality, note_id
        )
    if row is None:
        raise NotFound
    return Note(**row)


class NoticeboardSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TAIWA_NOTICEBOARD_", extra="ignore", frozen=True)
    port: int = 8199


SETTINGS = NoticeboardSettings


def build(settings: NoticeboardSettings | None = None) -> Service:
    return Service(
        name="noticeboard",
        title="掲示板",
        settings=settings or NoticeboardSettings(),
        migrations=Path(__file__).parent / "migrations",
        routers=(router,),
        emits=(NotePostedV1,),
    )

"""The smallest service that reacts: it keeps every note that a noticeboard posted, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from uuid import UUID

from pydantic_settings import SettingsConfigDict

from chassis.service import Loop, Reaction, Received, Service
from chassis.settings import ServiceSettings
from chassis.transaction import Transaction
from taiwa_contracts.event import Event
from tests.integration.chassis.noticeboard import NotePostedV1


class NoteArchivedV1(Event):
    TYPE: ClassVar[str] = "taiwa.archive.note-archived.v1"
    TOPIC: ClassVar[str] = "archive.events"
    AGGREGATE: ClassVar[str] = "archived-note"
    KEY: ClassVar[tuple[str, ...]] = ("note_id",)
    note_id: UUID


async def keep_note(tx: Transaction, received: Received[NotePostedV1]) -> None:
    note = received.event
    await tx.connection.execute(
        "INSERT INTO archived_notes (municipality, note_id, title) VALUES ($1, $2, $3)",
        tx.municipality,
        note.note_id,
        note.title,
    )
    tx.emit(NoteArchivedV1(note_id=note.note_id), version=1)


class ArchiveSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TAIWA_ARCHIVE_", extra="ignore", frozen=True)
    port: int = 8198


SETTINGS = ArchiveSettings


def build(settings: ArchiveSettings, loops: tuple[Loop, ...] = ()) -> Service:
    return Service(
        name="archive",
        title="書庫",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        emits=(NoteArchivedV1,),
        reactions=(Reaction(NotePostedV1, keep_note),),
        loops=loops,
    )

"""Two services in a circle: ``clerk`` marks papers on command, ``archive`` files each mark, ``clerk`` hears of it.

Everything the core promises has a place here: commands over HTTP on aggregates that many contend for, two aggregates in
one transaction, timers, a projection, reactions that emit, and a second relay and consumer behind the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from chassis.auth import Caller
from chassis.http import Commands, anybody
from chassis.service import Projection, Reaction, Received, Service, TimerHandler
from chassis.settings import InstallationSettings, ServiceSettings
from chassis.testing import PASSWORD
from chassis.topics import TopicSpec
from chassis.transaction import Connection, Transaction
from taiwa_contracts.event import Event

HERE = Path(__file__).parent
TOPICS = (TopicSpec("clerk.events"), TopicSpec("archive.events"))
REMIND_AFTER = timedelta(seconds=1)


class PaperSettings(ServiceSettings):
    """Settings of both services."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_PAPERS_", extra="ignore", frozen=True)
    port: int = 0


class PaperMarkedV1(Event):
    """A paper bears one more mark."""

    TYPE: ClassVar[str] = "taiwa.clerk.paper-marked.v1"
    TOPIC: ClassVar[str] = "clerk.events"
    AGGREGATE: ClassVar[str] = "paper"
    KEY: ClassVar[tuple[str, ...]] = ("paper_id",)
    paper_id: str
    mark: str
    total: int


class ReminderFellDueV1(Event):
    """The time that a command had set came."""

    TYPE: ClassVar[str] = "taiwa.clerk.reminder-fell-due.v1"
    TOPIC: ClassVar[str] = "clerk.events"
    AGGREGATE: ClassVar[str] = "reminder"
    KEY: ClassVar[tuple[str, ...]] = ("mark",)
    mark: str


class FactFiledV1(Event):
    """The archive filed one fact of the clerk's."""

    TYPE: ClassVar[str] = "taiwa.archive.fact-filed.v1"
    TOPIC: ClassVar[str] = "archive.events"
    AGGREGATE: ClassVar[str] = "filing"
    KEY: ClassVar[tuple[str, ...]] = ("of",)
    of: str


class Marking(BaseModel):
    """One command. Two papers are locked in the order given, so that two commands may deadlock."""

    model_config = ConfigDict(extra="forbid")
    papers: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=2)
    mark: str = Field(max_length=80)
    remind: bool = False


class Marked(BaseModel):
    """The versions that came of it."""

    versions: dict[str, int]


router = APIRouter()

_MARK = """
INSERT INTO papers (municipality, paper_id, total, version) VALUES ($1, $2, 1, 1)
ON CONFLICT (municipality, paper_id) DO UPDATE SET total = papers.total + 1, version = papers.version + 1
RETURNING total, version
"""


async def mark_papers(tx: Transaction, command: Marking) -> Marked:
    """Put a mark on one paper or on two."""
    versions: dict[str, int] = {}
    for paper in command.papers:
        row = await tx.connection.fetchrow(_MARK, tx.municipality, paper)
        assert row is not None
        versions[paper] = row["version"]
        await tx.connection.execute(
            "INSERT INTO marks (municipality, paper_id, version, mark) VALUES ($1, $2, $3, $4)",
            tx.municipality,
            paper,
            row["version"],
            command.mark,
        )
        tx.emit(PaperMarkedV1(paper_id=paper, mark=command.mark, total=row["total"]), version=row["version"])
    if command.remind:
        tx.schedule("remind", f"reminder/{command.mark}", tx.now + REMIND_AFTER)
    return Marked(versions=versions)


@router.post("/marks", status_code=201, response_model=Marked)
async def post_marks(body: Marking, caller: Annotated[Caller, Depends(anybody)], commands: Commands) -> Response:
    return await commands.run(caller, lambda tx: mark_papers(tx, body), status=201)


async def remind(tx: Transaction, aggregate: str) -> None:
    """A timer's effect: one row and one event."""
    mark = aggregate.partition("/")[2]
    await tx.connection.execute("INSERT INTO reminders (municipality, mark) VALUES ($1, $2)", tx.municipality, mark)
    tx.emit(ReminderFellDueV1(mark=mark), version=1)


async def copy_papers(connection: Connection, records: Sequence[Received[PaperMarkedV1]]) -> None:
    """The newest total of each paper."""
    newest = {(it.municipality, it.event.paper_id): it for it in records}.values()
    await connection.execute(
        """
        INSERT INTO copies (municipality, paper_id, total, version)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
        ON CONFLICT (municipality, paper_id) DO UPDATE SET total = excluded.total, version = excluded.version
        """,
        [it.municipality for it in newest],
        [it.event.paper_id for it in newest],
        [it.event.total for it in newest],
        [it.version for it in newest],
    )


_NOTED = """
(municipality, aggregate, version, partition, "offset", generation, event_id)
SELECT $1, $2, $3, $4, $5, generation, $8 FROM offsets WHERE consumer = $7 AND topic = $6 AND partition = $4
"""
_NOTE_EFFECT = f"INSERT INTO effects {_NOTED}"
_NOTE_FILING = f"INSERT INTO filings {_NOTED}"


async def _note(tx: Transaction, sql: str, consumer: str, it: Received[Any]) -> None:
    done = await tx.connection.execute(
        sql, tx.municipality, it.aggregate, it.version, it.partition, it.offset, it.topic, consumer, it.id
    )
    assert done == "INSERT 0 1", done


async def file_fact(tx: Transaction, it: Received[PaperMarkedV1 | ReminderFellDueV1]) -> None:
    """One effect and one event per fact; two facts may bear one version where the log of the first was restored."""
    await _note(tx, _NOTE_EFFECT, "archive", it)
    tx.emit(FactFiledV1(of=str(it.id)), version=1)


async def note_filing(tx: Transaction, it: Received[FactFiledV1]) -> None:
    """The circle closes."""
    await _note(tx, _NOTE_FILING, "clerk", it)


def build(name: str, installation: InstallationSettings, port: int, *, api: bool) -> Service:
    """``clerk`` or ``archive``; ``port`` is that of its API or, without one, of its health."""
    settings = PaperSettings(
        installation=installation,
        database_password=PASSWORD,
        port=port if api else 0,
        health_port=None if api else port,
        api_connections=10,
    )
    if name == "clerk":
        return Service(
            name="clerk",
            title="clerk",
            settings=settings,
            migrations=HERE / "clerk" / "migrations",
            routers=(router,),
            emits=(PaperMarkedV1, ReminderFellDueV1),
            reactions=(Reaction(FactFiledV1, note_filing),),
            timers=(TimerHandler("remind", remind),),
        )
    return Service(
        name="archive",
        title="archive",
        settings=settings,
        migrations=HERE / "archive" / "migrations",
        emits=(FactFiledV1,),
        projections=(Projection("archive.copies", (PaperMarkedV1,), copy_papers),),
        reactions=(Reaction(PaperMarkedV1, file_fact), Reaction(ReminderFellDueV1, file_fact)),
    )

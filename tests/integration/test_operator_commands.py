"""The operator's commands on the real services: what stands still is named with its mend, and the mend mends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from chassis.consumer import Consumer
from chassis.database import Database
from chassis.testing import (
    MIDORI,
    PASSWORD,
    ROLE_PREFIX,
    Installation,
    build_for,
    drop_test_database,
    eventually,
    make_test_database,
)
from chassis.topics import delete_topics
from services.consultations.main import build as build_consultations
from services.directory.main import build as build_directory
from services.leaders.main import build as build_leaders
from services.notifications.main import build as build_notifications
from services.portal.main import build as build_portal
from services.trainings.main import build as build_trainings
from taiwa.cli import app
from taiwa.cli.environment import worker_connection
from taiwa.mendable import Mendable
from taiwa.services import WITH_CLOCK
from taiwa_contracts.directory import SectionCreatedV1
from taiwa_contracts.topics import TOPICS

BUILDS = (
    build_directory,
    build_leaders,
    build_trainings,
    build_consultations,
    build_notifications,
    build_portal,
)


@dataclass
class TownHall:
    """All databases and topics, and the consumer of notifications."""

    installation: Installation
    worker: Database

    async def run(self, *arguments: str, fails: bool = False) -> Result:
        """Run ``taiwa …`` as at a terminal."""
        found = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
        if found.exception is not None and not isinstance(found.exception, SystemExit) and not fails:
            raise found.exception
        assert (found.exit_code != 0) is fails, found.output
        return found

    async def asked(self, *arguments: str, fails: bool = False) -> Any:
        """The same with ``--json``; what the consumer of this test logs meanwhile stands before it."""
        return json.loads((await self.run(*arguments, "--json", fails=fails)).stdout.splitlines()[-1])

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        async with self.worker.scoped("*") as connection:
            return [dict(row) for row in await connection.fetch(sql)]


@contextmanager
def environment(installation: Installation, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a container of the command is told."""
    settings, admin = installation.settings, urlsplit(installation.admin_url)
    told = {
        "ENVIRONMENT": "test",
        "PREFIX": settings.prefix,
        "ROLE_PREFIX": ROLE_PREFIX,
        "KAFKA": settings.kafka,
        "POSTGRES_HOST": settings.postgres_host,
        "POSTGRES_PORT": str(settings.postgres_port),
        "POSTGRES_ADMIN_USER": admin.username or "postgres",
        "POSTGRES_ADMIN_PASSWORD": unquote(admin.password or "none"),
        "PORTAL_PUBLIC_URL": "http://127.0.0.1:1",
        "OPERATOR": "花",
    }
    told |= {f"{build.__module__.split('.')[1].upper()}_DATABASE_PASSWORD": PASSWORD for build in BUILDS}
    for name, value in told.items():
        patch.setenv(f"TAIWA_{name}", value)
    yield


@pytest.fixture
async def hall(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TownHall]:
    services = [build_for(build, installation) for build in BUILDS]
    notifications = services[4]
    await installation.make_topics({topic.name: topic.compacted for topic in TOPICS})
    stop = asyncio.Event()
    try:
        for service in services:
            await make_test_database(installation, service)
        worker = await Database.connect(installation.settings, "notifications", "worker", PASSWORD, 4)
        consumer = asyncio.create_task(Consumer(notifications, worker, installation.settings).run(stop))
        try:
            with environment(installation, monkeypatch):
                yield TownHall(installation, worker)
        finally:
            stop.set()
            await consumer
            await worker.close()
    finally:
        for service in services:
            await drop_test_database(installation, service)


def section(name: str) -> SectionCreatedV1:
    return SectionCreatedV1(
        section_id=uuid4(),
        code="0101",
        name=name,
        kind="section",
        appointing_authority="mayor",
        display_order=1,
        effective_from=date(2026, 4, 1),
    )


async def key_of(hall: TownHall, event: SectionCreatedV1, *, later: int) -> str:
    """A broken first version of a section, and ``later`` good ones behind it; its key."""
    key = f"{MIDORI}/{event.aggregate()}"
    broken = json.loads(event.write()) | {"display_order": "first"}
    broken.pop("name")
    good_id = await hall.installation.publish(section("総務課"))
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": event.TYPE,
        "ce_source": "/taiwa/directory",
        "ce_subject": event.aggregate(),
        "ce_time": "2026-04-01T08:30:00+09:00",
        "ce_sequence": "1",
        "ce_municipality": MIDORI,
        "ce_correlationid": str(good_id),
    }
    await hall.installation.put(
        event.TOPIC, key.encode(), json.dumps(broken).encode(), [(name, it.encode()) for name, it in headers.items()]
    )
    for version in range(2, 2 + later):
        await hall.installation.publish(event, version)
    return key


async def letters(hall: TownHall, count: int) -> list[dict[str, Any]]:
    found = await hall.rows('SELECT * FROM dead_letters WHERE closed_at IS NULL ORDER BY "offset"')
    return found if len(found) == count else []


async def test_a_dead_letter_is_found_understood_and_given_up_from_the_terminal(hall: TownHall) -> None:
    event = section("財政課")
    key = await key_of(hall, event, later=2)
    dead, *_ = await eventually(lambda: letters(hall, 3), timeout=60)
    letter = str(dead["id"])

    told = await hall.asked("status", fails=True)
    assert not told["well"]
    (notifications,) = [it for it in told["services"] if it["service"] == "notifications"]
    assert notifications["dead_letters"]["dead"]["letters"] == 1
    assert notifications["dead_letters"]["held"]["letters"] == 2
    assert notifications["lag"] == {"directory.events": 0, **dict.fromkeys(notifications["lag"], 0)}
    assert f"dead letters wait for an operator, {2} held behind them" in notifications["late"][0]
    assert "Mend: taiwa dead-letters list --service notifications" in (await hall.run("status", fails=True)).stdout
    findings = {it["check"]: it for it in await hall.asked("doctor", fails=True)}
    assert findings["notifications: consumer"]["mend"] == "taiwa dead-letters list --service notifications"
    for check in (
        "Kafka",
        "Topics",
        "Disk",
        "leaders: database",
        "leaders: tables",
        "leaders: relay",
        "leaders: consumer",
    ):
        assert findings[check]["well"], findings[check]

    # What the next command wants is readable and whole on a terminal of 80 columns.
    lines = (await hall.run("dead-letters", "list", "--service", "notifications")).stdout.splitlines()
    assert any(line.startswith(letter) for line in lines), lines
    assert any(line.endswith(f" {key}") for line in lines), lines
    (listed,) = (await hall.asked("dead-letters", "list", "--key", key))["dead_letters"]
    assert (listed["id"], listed["held_behind"]) == (letter, 2)
    shown = await hall.asked("dead-letters", "show", letter)
    fields = {it["name"]: it["state"] for it in shown["difference"]["fields"]}
    assert (fields["name"], fields["display_order"], fields["code"]) == ("missing", "wrong", "fits")
    assert "✗ missing" in (await hall.run("dead-letters", "show", letter)).stdout

    assert not (await hall.asked("dead-letters", "replay", "--key", key, "--dry-run"))["changed"]
    assert (await hall.asked("dead-letters", "replay", letter, "--reason", "once more"))["changed"]

    async def failed_again() -> bool:
        (row, *_) = await hall.rows("SELECT kind, attempts FROM dead_letters WHERE kind <> 'held'")
        return row == {"kind": "dead", "attempts": 1}

    await eventually(failed_again, timeout=60)
    refused = await hall.run("dead-letters", "discard", letter, "--reason", " ", fails=True)
    assert isinstance(refused.exception, Mendable)
    assert (await hall.asked("dead-letters", "discard", letter, "--reason", "never valid", "--yes"))["changed"]

    async def went_on() -> list[dict[str, Any]]:
        return await hall.rows("SELECT name FROM section_names WHERE name = '財政課'")

    await eventually(went_on, timeout=60)
    # Directory's relay has not said what this test put on its topic, so the installation as a whole is not well.
    assert [it["service"] for it in (await hall.asked("status", fails=True))["services"] if not it["well"]] == [
        "directory"
    ]
    acts = await hall.rows("SELECT act, operator, reason, letter::text FROM operator_acts ORDER BY acted_at, id")
    assert [(it["act"], it["operator"], it["reason"], it["letter"]) for it in acts] == [
        ("seen", "花", "", letter),
        ("seen", "花", "", letter),
        ("replayed", "花", "once more", letter),
        ("discarded", "花", "never valid", letter),
    ]
    again = await hall.run("dead-letters", "discard", letter, "--reason", "x", "--yes", fails=True)
    assert isinstance(again.exception, Mendable)


async def test_a_consumer_that_stopped_is_named_with_its_reason_and_let_go_on_from_the_terminal(hall: TownHall) -> None:
    async with hall.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO stops (consumer, scope, topic, partition, reason, command) "
            "VALUES ('notifications', 'stopped', '', -1, 'most events fail: of late', 'taiwa dead-letters list')"
        )
    for command in (("status",), ("doctor",), ("dead-letters", "list")):
        told = await hall.asked(*command, fails=command != ("dead-letters", "list"))
        assert "most events fail: of late" in json.dumps(told), command
        shown = (await hall.run(*command, fails=command != ("dead-letters", "list"))).stdout
        assert "taiwa dead-letters resume notifications" in " ".join(shown.split()) or command == ("doctor",), shown
    findings = {it["check"]: it for it in await hall.asked("doctor", fails=True)}
    assert findings["notifications: consumer"]["mend"].endswith("taiwa dead-letters resume notifications")
    assert "1 stops" in (await hall.run("dead-letters", "resume", "notifications", "--reason", "mended")).stdout
    assert (await hall.asked("status"))["well"]
    assert await hall.rows("SELECT act, operator, reason FROM operator_acts") == [
        {"act": "resumed", "operator": "花", "reason": "mended"}
    ]


async def test_projections_are_listed_compared_and_rebuilt_from_the_terminal(hall: TownHall) -> None:
    for name in ("総務課", "財政課", "税務課"):
        await hall.installation.publish(section(name))

    async def copied() -> bool:
        (row,) = await hall.rows("SELECT count(*) FROM section_names")
        return bool(row["count"] == 3)

    await eventually(copied, timeout=60)
    listed = {it["projection"]: it for it in await hall.asked("rebuild", "--list")}
    assert listed["notifications.section_names"]["rows"] == 3
    async with hall.worker.scoped("*") as connection:
        await connection.execute("UPDATE section_names SET name = '?' WHERE name = '総務課'")
    name = "notifications.section_names"
    wrong = {"section_names": {"missing": 0, "wrong": 1, "surplus": 0}}
    assert (await hall.asked("rebuild", name, "--dry-run"))["tables"] == wrong
    done = await hall.asked("rebuild", name)
    assert (done["tables"], done["changed"], done["records"]) == (wrong, True, 3)
    after = {it["projection"]: it for it in await hall.asked("rebuild", "--list")}
    assert after[name]["checksum"] == listed[name]["checksum"]
    unknown = await hall.run("rebuild", "notifications.nothing", fails=True)
    assert isinstance(unknown.exception, Mendable)
    assert "notifications.section_names" in unknown.exception.problem


async def test_republishing_is_told_before_it_is_done(hall: TownHall) -> None:
    await hall.installation.publish(section("総務課"))
    told = await hall.asked("republish", "directory", "--dry-run")
    assert [it["service"] for it in told] == ["directory"]
    assert told[0]["events"] == 0
    assert [it["aggregate"].split("/")[0] for it in told[0]["lost"]] == ["section"]
    shown = (await hall.run("status", fails=True)).stdout
    assert "directory: its relay stands still: Kafka holds section/" in shown
    assert "Mend: taiwa republish directory" in shown
    refused = await hall.run("republish", fails=True)
    assert isinstance(refused.exception, Mendable)


async def test_a_topic_that_is_gone_is_told_before_anything_stands_still(hall: TownHall) -> None:
    await delete_topics(hall.installation.settings, ["consultations.texts"])
    shown = (await hall.run("status", fails=True)).stdout
    assert "Kafka's topics are not as declared: consultations.texts is missing; run: taiwa topics" in shown
    assert "Mend: taiwa doctor" in shown


async def test_a_lost_kafka_is_mended_by_one_command(hall: TownHall) -> None:
    for service in WITH_CLOCK:
        async with worker_connection(hall.installation.settings, service) as connection:
            await connection.execute(
                "INSERT INTO stops (consumer, scope, topic, partition, reason, command) "
                "VALUES ('gone', 'stopped', '', -1, 'another cluster', $1)",
                f"taiwa republish {service}",
            )
    shown = (await hall.run("status", fails=True)).stdout
    assert [line.split("Mend: ")[1] for line in shown.splitlines() if "Mend:" in line] == ["taiwa republish --all"]


async def test_a_database_newer_than_this_version_is_not_migrated_but_served_by_the_newer_one(hall: TownHall) -> None:
    database = f"{hall.installation.settings.prefix}notifications"
    owner = await asyncpg.connect(hall.installation.admin_url, database=database)
    try:
        await owner.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_later.sql', 'x')")
    finally:
        await owner.close()
    findings = {it["check"]: it for it in await hall.asked("doctor", fails=True)}
    assert "newer than this version" in findings["notifications: tables"]["found"]
    assert findings["notifications: tables"]["mend"] == "start the newer version"

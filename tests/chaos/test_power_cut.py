"""8:31, the power fails: services, PostgreSQL and Kafka are gone at once, in the middle of the morning's work.

Afterwards everything is switched on and nobody runs a command. The real trainings and notifications services, and a
mail server that stays up, as the town's own does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from email import message_from_bytes, policy
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.clocks import monotonic
from chassis.http.problems import IDEMPOTENCY_HEADER
from chassis.testing import MIDORI, eventually
from chassis.topics import TopicSpec
from chassis.transaction import new_id
from taiwa_contracts.directory import MunicipalityRegisteredV1, PersonStateV1
from taiwa_contracts.topics import TOPICS
from tests.chaos.ground import Ground, Member, crash_kafka, crash_postgres, ground

PEOPLE = 30
SENT_BEFORE, IN_ALL = 20, 60
"""Mails sent when the power fails, and in all."""


@dataclass(slots=True)
class Received:
    """A mail as the server took it; it answers after it wrote down."""

    message_id: str
    to: str
    at: float


@dataclass(slots=True)
class Mailbox:
    """The town's mail server; it is slow enough that mails are on their way when the power fails."""

    mails: list[Received] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd
        """Take a mail."""
        del server, session
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        await asyncio.sleep(0.02)  # paced: a mail server takes its time
        self.mails.append(Received(str(message["Message-ID"]), ",".join(envelope.rcpt_tos), monotonic()))
        return "250 OK"


@contextlib.asynccontextmanager
async def mail_server(mailbox: Mailbox) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test", loop=loop), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@dataclass
class Morning:
    """People complete a training; each is told by mail."""

    it: Ground
    programme_id: str = ""
    people: list[UUID] = field(default_factory=lambda: [new_id() for _ in range(PEOPLE)])
    acknowledged: dict[str, UUID] = field(default_factory=dict)
    """Completion → person."""

    async def settle(self) -> None:
        """The town, its people and a programme are known to both services."""
        looking = self.it.installation
        town = MunicipalityRegisteredV1(code=MIDORI, name="みどり町", kana="ミドリマチ", fictional=True)
        await looking.publish(town)
        for number, person in enumerate(self.people):
            state = PersonStateV1(
                state_version=1,
                person_id=person,
                name=f"職員{number}",
                kana="ショクイン",
                mail=f"s{number}@town.midori.example",
                section_id=self.people[0],
                post="主任",
            )
            await looking.publish(state, 1)
        for service in ("trainings", "notifications"):
            await eventually(lambda service=service: self._know(service), 40)  # type: ignore[misc]  # mypy #12557
        async with self._client() as client:
            answer = await client.post("/programmes", json={"title": "対話の進め方"}, headers=key())
            self.programme_id = answer.json()["programme_id"]

    async def _know(self, service: str) -> bool:
        connection = await self.it.administrator(service)
        try:
            return bool(await connection.fetchval("SELECT count(*) = $1 FROM people", PEOPLE))
        finally:
            await connection.close()

    def _client(self) -> httpx.AsyncClient:
        token = self.it.installation.token(roles=("staff", "hr"))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.it.api.url, headers=headers, timeout=5)

    async def work(self, count: int) -> None:
        """Record completions one by one, each until it is acknowledged, as a person would."""
        async with self._client() as client:
            for number in range(count):
                person = self.people[number % PEOPLE]
                body = {
                    "programme_id": self.programme_id,
                    "person_ids": [str(person)],
                    "completed_on": date(2026, 4, 1 + number // PEOPLE).isoformat(),
                    "source": "report",
                }
                headers = key()
                while True:
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await client.post("/completions", json=body, headers=headers)
                        if answer.status_code == 201:
                            self.acknowledged[answer.json()["completions"][0]["completion_id"]] = person
                            break
                        assert answer.status_code in {409, 500, 503}, answer.text
                    await asyncio.sleep(0.2)  # paced: a person tries again


def key() -> dict[str, str]:
    return {IDEMPOTENCY_HEADER: str(uuid4())}


async def power_cut(it: Ground) -> None:
    """Everything at once, without a word."""
    await asyncio.gather(
        *(it.kill_member(member) for member in it.members),
        asyncio.to_thread(crash_postgres, it.postgres),
        asyncio.to_thread(crash_kafka, it.kafka),
    )


async def switch_on(it: Ground) -> None:
    """Whatever comes up first."""
    await asyncio.gather(asyncio.to_thread(it.postgres.start), asyncio.to_thread(it.kafka.start), it.boot())


async def leases_run_out(it: Ground) -> None:
    """Two minutes pass: what the dead process had claimed is free again."""
    connection = await it.administrator("notifications")
    try:
        await connection.execute(
            "UPDATE deliveries SET leased_until = clock_timestamp() WHERE leased_until IS NOT NULL"
        )
    finally:
        await connection.close()


@pytest.mark.timeout(300)
async def test_after_a_power_cut_nobody_acts_and_nobody_is_mailed_twice(folder: Path) -> None:
    """The worst moment: the power fails between the sending of a mail and its record."""
    mailbox = Mailbox()
    async with mail_server(mailbox) as smtp:
        given: dict[str, object] = {"smtp_port": smtp, "smtp_starttls": "never"}
        every = ("api", "relay", "consumer", "timers")
        notifications = Member("notifications", "notifications", every, given)
        wanted = [Member("trainings", "trainings", every), notifications]
        topics = [TopicSpec(topic.name, topic.compacted) for topic in TOPICS]
        async with ground(folder, wanted, topics=topics) as it:
            morning = Morning(it)
            await morning.settle()
            await it.kill_member(notifications)
            await it.start_member(notifications, f"loop.after_side_effect:{SENT_BEFORE}")
            working = asyncio.create_task(morning.work(IN_ALL))
            assert await it.gone(notifications, 60)
            await power_cut(it)
            last = mailbox.mails[-1].message_id
            await switch_on(it)
            await working
            await leases_run_out(it)

            async def all_told() -> bool:
                connection = await it.administrator("notifications")
                try:
                    rows = await connection.fetch(
                        "SELECT state, count(*) AS many FROM deliveries WHERE channel = 'mail' GROUP BY state"
                    )
                finally:
                    await connection.close()
                return {row["state"]: row["many"] for row in rows} == {"handed_over": IN_ALL}

            await eventually(all_told, 90, 0.2)
            told = Counter(mail.message_id for mail in mailbox.mails)
            assert len(told) == IN_ALL == len(morning.acknowledged)
            once = {mail.message_id: mail.to for mail in mailbox.mails}
            assert Counter(once.values()) == Counter(
                f"s{number % PEOPLE}@town.midori.example" for number in range(IN_ALL)
            )
            # The one window: this mail had no record. It came again, with the same Message-ID; no other did.
            assert {message: many for message, many in told.items() if many > 1} == {last: 2}
            assert it.unexplained == []

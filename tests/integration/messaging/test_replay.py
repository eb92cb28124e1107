"""An integrator is told again what was said: signed, in order per key, from where it was broken off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chassis import replay as replaying
from chassis.replay import ReplayError, Wanted, open_topic, open_webhook, replay, signature
from chassis.testing import MIDORI, OTHER_TOWN, Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import TOPICS

OLD, NEW = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
SINCE = Wanted(datetime(2026, 4, 1, tzinfo=UTC))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """An integrator's server: keeps what it is sent, answers what it is told to."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def taken(self) -> list[tuple[str, int]]:
        """(thing, version) of each fact, in the order it came."""
        bodies = [json.loads(body) for _, body in self.got]
        return [(body["subject"], body["sequence"]) for body in bodies]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
                body = await reader.readexactly(int(headers["content-length"]))
                answer = self.answers.pop(0) if self.answers else "200 OK"
                if answer.startswith("2"):
                    self.got.append((headers, body))
                writer.write(f"HTTP/1.1 {answer}\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    it = Receiver()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    yield it
    server.close()


@asynccontextmanager
async def published(installation: Installation) -> AsyncIterator[list[str]]:
    """Facts of two things, old and new, and one of another town; gives the topics."""
    for version in range(1, 4):
        for thing in ("a", "b"):
            at = OLD if version == 1 else NEW
            await installation.publish(ThingMadeV1(thing_id=thing, size=version), version, occurred_at=at)
    await installation.publish(ThingMadeV1(thing_id="c"), 1, municipality=OTHER_TOWN, occurred_at=NEW)
    yield ["source.events"]


def in_order(taken: list[tuple[str, int]], thing: str) -> list[int]:
    return [version for subject, version in taken if subject == f"thing/{thing}"]


async def test_a_webhook_is_told_signed_facts_in_order_and_again_what_it_did_not_take(
    installation: Installation, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_LONGEST_PAUSE", 0.01)
    receiver.answers = ["200 OK", "503 Service Unavailable", "429 Too Many Requests"]
    async with published(installation) as topics, open_webhook(receiver.url, SECRET, ["127.0.0.1"]) as webhook:
        told: list[tuple[int, int]] = []
        done = await replay(
            installation.settings,
            topics,
            SINCE,
            webhook,
            per_second=1000,
            progress=lambda at, total: told.append((at, total)),
        )
    assert (dict(done.told), done.looked_at, done.complete) == ({ThingMadeV1.TYPE: 5}, 7, True)
    assert told[-1] == (7, 7)
    assert (in_order(receiver.taken, "a"), in_order(receiver.taken, "b")) == ([2, 3], [2, 3])
    headers, body = receiver.got[0]
    content = json.loads(body)
    assert content["data"]["size"] == content["sequence"] or content["subject"] == "thing/c"
    assert (content["type"], content["timestamp"]) == (ThingMadeV1.TYPE, NEW.isoformat())
    sent = (headers["webhook-id"], int(headers["webhook-timestamp"]))
    assert headers["webhook-signature"] == signature(SECRET, *sent, body)


def test_the_signature_is_the_one_of_the_standards_example() -> None:
    body = b'{"test": 2432232314}'
    made = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_what_was_broken_off_goes_on_at_its_cursor(
    installation: Installation, receiver: Receiver, tmp_path: Path
) -> None:
    cursor = tmp_path / "cursor.json"
    async with published(installation) as topics, open_webhook(receiver.url, SECRET, ["127.0.0.1"]) as webhook:

        async def go_on(limit: int = 0, wanted: Wanted = SINCE) -> replaying.Replayed:
            return await replay(
                installation.settings, topics, wanted, webhook, cursor=cursor, limit=limit, per_second=1000
            )

        assert not (await go_on(limit=2)).complete
        receiver.answers = ["200 OK", "400 Bad Request"]
        with pytest.raises(ReplayError, match="answers 400"):
            await go_on()
        assert (await go_on()).complete
        assert sum((await go_on()).told.values()) == 0
        with pytest.raises(ReplayError, match="another replay"):
            await go_on(wanted=Wanted(OLD))
    assert len(receiver.taken) == len(set(receiver.taken)) == 5


async def test_a_topic_gets_the_same_records_and_only_of_the_chosen_town(installation: Installation) -> None:
    await installation.make_topics({"integrator.inbox": False})
    name = f"{installation.settings.prefix}integrator.inbox"
    async with published(installation) as topics, open_topic(installation.settings, name, []) as topic:
        wanted = Wanted(SINCE.since, municipality=MIDORI)
        await replay(installation.settings, topics, wanted, topic, per_second=1000)
    found = await installation.facts_on("integrator.inbox")
    before = {it.id: it for it in await installation.facts_on("source.events")}
    assert len(found) == 4
    assert all(before[it.id].headers == it.headers and before[it.id].value == it.value for it in found)


async def test_a_dry_run_counts_and_tells_nobody(installation: Installation) -> None:
    async with published(installation) as topics:
        done = await replay(installation.settings, topics, SINCE, None)
    assert sum(done.told.values()) == 5


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "https://localhost/x", "ftp://example.com", "https://a:b@c/"])
async def test_an_address_that_is_private_or_none_is_refused(url: str) -> None:
    with pytest.raises(ReplayError):
        async with open_webhook(url, SECRET):
            pass


async def test_a_topic_of_ours_and_one_that_is_missing_are_refused(installation: Installation) -> None:
    settings = installation.settings
    for name in (f"{settings.prefix}source.events", "nobody.made.this"):
        with pytest.raises(ReplayError):
            async with open_topic(settings, name, [spec.name for spec in TOPICS]):
                pass

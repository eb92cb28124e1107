"""Tells an integrator again what was said: the topics' records since an instant, to a URL or to a topic of theirs.

Promise: per key in order, at least once, each under its own id, so that a receiver can drop repeats. Where it stands is
kept in a file every second and at the end: ended or broken off, it goes on there. It ends where the topics end when
it begins.

To a URL each fact is a webhook by Standard Webhooks 1.0: ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``
(HMAC-SHA256, ``v1``). Only 2xx counts; no redirects; 429, 502, 503, 504 and a connection that fails are tried again
for ten minutes, as slowly as ``Retry-After`` asks; anything else ends it. An address inside a private network is
refused unless its host was allowed by name.

Proven by ``tests/integration/messaging/test_replay.py``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from chassis.clocks import machine_now, monotonic
from chassis.envelope import Envelope, Unreadable, read
from chassis.kafka import admin_client, cluster_id
from chassis.settings import InstallationSettings
from chassis.topics import generations

TIMEOUT_SECONDS = 20.0
SAVE_SECONDS = 1.0
PATIENCE_SECONDS = 600.0
_LONGEST_PAUSE = 60.0
_TRY_AGAIN = {429, 502, 503, 504}
_SECRET_PREFIX = "whsec_"  # noqa: S105  how a secret begins, not one


class ReplayError(Exception):
    """It cannot begin or go on; the message says why. What was acknowledged is in the cursor."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which facts: that occurred at ``since`` or later, of these types and of this municipality (all if empty)."""

    since: datetime
    types: frozenset[str] = frozenset()
    municipality: str | None = None

    def fits(self, it: Envelope) -> bool:
        """Whether a record is among them."""
        return (
            it.occurred_at >= self.since
            and (not self.types or it.type in self.types)
            and (self.municipality is None or it.municipality == self.municipality)
        )


class Target(Protocol):
    """Where facts are told."""

    async def tell(self, it: Envelope, record: ConsumerRecord) -> None:
        """Tell one; returns when it was acknowledged.

        Raises:
            ReplayError: it was not.
        """


@dataclass(slots=True)
class Replayed:
    """What came of it so far: facts told by type, records looked at, and whether the topics' ends were reached."""

    told: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    complete: bool = False


Progress = Callable[[int, int], None]
"""Told (records looked at, records to look at)."""


@dataclass(slots=True)
class Cursor:
    """Where a replay stands: the next offset of each partition, kept in a file."""

    path: Path | None
    life: dict[str, Any]
    next: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None, life: Mapping[str, Any]) -> Cursor:
        """Read the file, if it is there.

        Raises:
            ReplayError: it is no cursor, or one of other topics, of another selection, or of topics made anew.
        """
        if path is None or not path.exists():
            return cls(path, dict(life))
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            before, at = kept["life"], {str(name): int(offset) for name, offset in kept["next"].items()}
        except (ValueError, KeyError, AttributeError, TypeError) as fault:
            raise ReplayError(f"{path} is no cursor of a replay; name another file") from fault
        if before != json.loads(json.dumps(life)):
            raise ReplayError(f"{path} belongs to another replay, or the topics were made anew; name another file")
        return cls(path, dict(life), at)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.path is None:
            return
        draft = self.path.with_suffix(f"{self.path.suffix}.new")
        draft.write_text(json.dumps({"life": self.life, "next": self.next}), encoding="utf-8")
        draft.replace(self.path)


async def replay(
    installation: InstallationSettings,
    topics: Sequence[str],
    wanted: Wanted,
    target: Target | None,
    *,
    cursor: Path | None = None,
    limit: int = 0,
    per_second: float = 20.0,
    progress: Progress = lambda _done, _total: None,
) -> Replayed:
    """Tell the records of ``topics`` (without prefix) to ``target``; ``None`` only counts them.

    ``limit`` ends it after so many facts (0: none), ``per_second`` is the most that is told in a second.

    Raises:
        ReplayError: a topic is missing, the cursor is another replay's, or the target does not take a fact.
        aiokafka.errors.KafkaError: Kafka does not answer.
    """
    known = await generations(installation)
    life = {
        "cluster": await cluster_id(installation),
        "generations": {topic: known.get(topic, 1) for topic in topics},
        "wanted": [wanted.since.isoformat(), sorted(wanted.types), wanted.municipality],
    }
    at = Cursor.load(cursor, life)
    done, saved_at = Replayed(), monotonic()
    async with _reading(installation, topics, at) as (client, left, ends):
        total = sum([ends[place] - await client.position(place) for place in left])
        try:
            while left and not done.complete:
                got = await client.getmany(*left, timeout_ms=500, max_records=500)
                for place, records in got.items():
                    for record in records:
                        if limit and sum(done.told.values()) >= limit:
                            return done
                        await _one(record, wanted, target, done, per_second)
                        at.next[_name(installation, place)] = record.offset + 1
                        if monotonic() - saved_at > SAVE_SECONDS:
                            at.save()
                            saved_at = monotonic()
                    progress(done.looked_at, total)
                for place in list(left):
                    if await client.position(place) >= ends[place]:
                        left.discard(place)
            done.complete = True
        finally:
            at.save()
    return done


async def _one(
    record: ConsumerRecord, wanted: Wanted, target: Target | None, done: Replayed, per_second: float
) -> None:
    done.looked_at += 1
    try:
        it = read(record.key, record.headers)
    except Unreadable:
        return
    if not wanted.fits(it):
        return
    if target is not None:
        began = monotonic()
        await target.tell(it, record)
        await asyncio.sleep(max(0.0, 1 / per_second - (monotonic() - began)))
    done.told[it.type] += 1


def _name(installation: InstallationSettings, place: TopicPartition) -> str:
    return f"{place.topic[len(installation.prefix) :]}/{place.partition}"


@asynccontextmanager
async def _reading(
    installation: InstallationSettings, topics: Sequence[str], at: Cursor
) -> AsyncIterator[tuple[AIOKafkaConsumer, set[TopicPartition], dict[TopicPartition, int]]]:
    names = [f"{installation.prefix}{topic}" for topic in topics]
    async with admin_client(installation) as admin:
        there = set(await admin.list_topics())
        if absent := [name for name in names if name not in there]:
            raise ReplayError(f"there is no topic {absent[0]}")
        described = await admin.describe_topics(names)
    places = [TopicPartition(it["topic"], each["partition"]) for it in described for each in it["partitions"]]
    client = AIOKafkaConsumer(bootstrap_servers=installation.kafka, client_id="taiwa-replay", enable_auto_commit=False)
    client.assign(places)
    await client.start()
    try:
        begins, ends = await client.beginning_offsets(places), await client.end_offsets(places)
        for place in places:
            client.seek(place, max(begins[place], at.next.get(_name(installation, place), 0)))
        left = {place for place in places if await client.position(place) < ends[place]}
        yield client, left, ends
    finally:
        await client.stop()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature`` by Standard Webhooks; ``secret`` is ``whsec_`` and base64.

    Raises:
        ReplayError: the secret is malformed.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise ReplayError("the secret is not whsec_ and base64") from fault
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


async def refuse_private(url: str, allowed: Sequence[str]) -> None:
    """Raise where a URL leads into a private network and its host was not allowed by name.

    Raises:
        ReplayError: with what to do.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or host is None or parts.username is not None:
        raise ReplayError(f"{url} is no address of a webhook: it begins with https:// and holds no password")
    if host in allowed:
        return
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as fault:
        raise ReplayError(f"{host} is not known: {fault}") from fault
    if any(not ipaddress.ip_address(address[4][0]).is_global for address in found):
        raise ReplayError(f"{host} is inside a private network; allow it by name: --allow {host}")


@dataclass(slots=True)
class Webhook:
    """A URL that is told each fact. Close it by leaving ``open_webhook``."""

    url: str
    secret: str
    client: httpx.AsyncClient

    async def tell(self, it: Envelope, record: ConsumerRecord) -> None:
        """Send one fact until it is taken."""
        body = webhook_body(it, record.value)
        deadline, pause = monotonic() + PATIENCE_SECONDS, 1.0
        while True:
            asked = await self._send(str(it.id), body)
            if asked is None:
                return
            wait = min(max(asked, pause), _LONGEST_PAUSE)
            if monotonic() + wait > deadline:
                raise ReplayError(f"{self.url} did not take {it.id} for ten minutes")
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _send(self, message_id: str, body: bytes) -> float | None:
        """``None`` if it was taken, else how long the receiver asks to wait."""
        now = int(machine_now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self.secret, message_id, now, body),
        }
        try:
            answer = await self.client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError:
            return 0.0
        if answer.is_success:
            return None
        if answer.status_code in _TRY_AGAIN:
            asked = answer.headers.get("retry-after", "")
            return float(asked) if asked.isdigit() else 0.0
        what = "it is gone for good" if answer.status_code == httpx.codes.GONE else "only 2xx counts"
        raise ReplayError(f"{self.url} answers {answer.status_code} to {message_id}; {what}")


@asynccontextmanager
async def open_webhook(url: str, secret: str, allowed: Sequence[str] = ()) -> AsyncIterator[Webhook]:
    """A webhook that follows no redirect and knows no proxy.

    Raises:
        ReplayError: the address is private, or the secret malformed.
    """
    await refuse_private(url, allowed)
    signature(secret, "", 0, b"")
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as client:
        yield Webhook(url, secret, client)


def webhook_body(it: Envelope, value: bytes | None) -> bytes:
    """``type``, ``timestamp`` and ``data`` as Standard Webhooks names them, and where the fact belongs."""
    return json.dumps(
        {
            "type": it.type,
            "timestamp": it.occurred_at.isoformat(),
            "data": None if value is None else json.loads(value),
            "municipality": it.municipality,
            "subject": it.aggregate,
            "sequence": it.version,
            "correlationid": str(it.correlation_id),
        },
        ensure_ascii=False,
    ).encode()


@dataclass(slots=True)
class Topic:
    """A topic of the integrator's: gets the same keys, headers and bytes."""

    name: str
    producer: AIOKafkaProducer

    async def tell(self, it: Envelope, record: ConsumerRecord) -> None:
        """Publish one record and wait for every replica."""
        del it
        await self.producer.send_and_wait(self.name, record.value, key=record.key, headers=list(record.headers))


@asynccontextmanager
async def open_topic(installation: InstallationSettings, name: str, ours: Sequence[str]) -> AsyncIterator[Topic]:
    """A topic as it is called in Kafka, with any prefix; it must be there and none of ``ours`` (without prefix).

    Raises:
        ReplayError: it is ours, or missing.
    """
    if name.removeprefix(installation.prefix) in ours:
        raise ReplayError(f"{name} is a topic of ours: only its owner's relay writes there")
    async with admin_client(installation) as admin:
        if name not in await admin.list_topics():
            raise ReplayError(f"there is no topic {name}; whoever reads it makes it")
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        yield Topic(name, producer)
    finally:
        await producer.stop()

"""What a use case gets to work with: the connection, who acts, when, and ``emit`` and ``schedule``.

Promise: state, events and timers are one committed PostgreSQL transaction; there is no other way to publish.
The position of an event is drawn after its aggregate's row was locked by the caller's UPDATE, so position order is
version order within an aggregate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol
from uuid import UUID

import asyncpg
from aiokafka.partitioner import murmur2
from opentelemetry.propagate import inject

from chassis.clocks import CivilClock
from chassis.refusals import Refusal

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Connection = asyncpg.Connection

PAYLOAD_LIMIT = 512 * 1024
"""Bytes of one event's JSON. Checked when emitted: a refusal, not a relay that cannot go on."""

ActorKind = Literal["staff", "timer", "reaction", "integrator", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made it happen. ``id``: a person's id for staff, else the name of the timer, reaction or program."""

    kind: ActorKind
    id: str


class Fact(Protocol):
    """What the event log needs of an event; ``taiwa_contracts.event.Event`` has it."""

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]

    def aggregate(self) -> str:
        """``<kind>/<id>``."""

    def write(self) -> str:
        """The payload as JSON text."""


class EventTooLarge(Refusal):
    """An event may hold 512 KiB; long texts belong into their own state."""

    code = "request.event_too_large"
    status = 413
    ja = "内容が大きすぎます（上限512KB）。分けて登録してください。"
    en = "The event would exceed 512 KiB; split the request."


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits; sorts by creation."""
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80 | tail
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def key_hash(municipality: str, aggregate: str) -> int:
    """31 bits of murmur2 over the record's key; the partition is this modulo the number of partitions."""
    return int(murmur2(f"{municipality}/{aggregate}".encode())) & 0x7FFFFFFF


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")


@dataclass(frozen=True, slots=True)
class _Emitted:
    event_id: UUID
    topic: str
    type: str
    aggregate: str
    version: int
    payload: str | None
    told_in: str | None = None


class KeptAnswer(NamedTuple):
    """What a repeat of the same command is answered; see ``chassis.http.commands``."""

    actor: str
    route: str
    key: str
    request_hash: bytes
    status: int
    body: str
    facts: str


@dataclass(frozen=True, slots=True)
class _Timer:
    aggregate: str
    name: str
    due_at: datetime | None


_APPEND = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at,
                       causation_id, correlation_id, actor_kind, actor_id, traceparent, payload)
SELECT e.event_id, $8, e.topic, e.type, e.aggregate, e.version, e.key_hash, $9, $10, $11, $12, $13, $14, e.payload
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[])
     AS e (event_id, topic, type, aggregate, version, key_hash, payload)
"""

_APPEND_IN_VERSIONS = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at,
                       causation_id, correlation_id, actor_kind, actor_id, traceparent, payload, told_in)
SELECT e.event_id, $8, e.topic, e.type, e.aggregate, e.version, e.key_hash, $9, $10, $11, $12, $13, $14, e.payload,
       e.told_in
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $15::text[])
     AS e (event_id, topic, type, aggregate, version, key_hash, payload, told_in)
"""

# A command mostly emits one event: plain values cost PostgreSQL and the client a third less than arrays of one.
_APPEND_ONE = """
INSERT INTO event_log (event_id, topic, type, aggregate, version, key_hash, payload, municipality, occurred_at,
                       causation_id, correlation_id, actor_kind, actor_id, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""

_ANSWER_COLUMNS = "municipality, actor, route, key, request_hash, status, body, facts"

_KEEP_ANSWER = f"""
INSERT INTO idempotency_keys ({_ANSWER_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

# The usual end of a command, one event and its answer, in one round trip.
_APPEND_ONE_AND_KEEP_ANSWER = f"""
WITH answer AS (
    INSERT INTO idempotency_keys ({_ANSWER_COLUMNS}) VALUES ($8, $15, $16, $17, $18, $19, $20, $21)
)
{_APPEND_ONE}
"""

_SCHEDULE = """
INSERT INTO timers (municipality, aggregate, name, due_at, correlation_id)
SELECT $4, t.aggregate, t.name, t.due_at, $5
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS t (aggregate, name, due_at)
ON CONFLICT (municipality, aggregate, name) DO UPDATE
SET due_at = excluded.due_at, correlation_id = excluded.correlation_id, attempts = 0, retry_at = NULL, failed_at = NULL
"""

_CANCEL = """
DELETE FROM timers USING unnest($1::text[], $2::text[]) AS t (aggregate, name)
WHERE timers.municipality = $3 AND timers.aggregate = t.aggregate AND timers.name = t.name
"""


class Transaction:
    """One use case of one municipality inside one database transaction. Made by :class:`chassis.database.Database`.

    ``now`` and ``today`` are civil and do not move while the use case runs.
    """

    def __init__(
        self,
        connection: Connection,
        municipality: str,
        actor: Actor,
        clock: CivilClock,
        *,
        correlation_id: UUID,
        causation_id: UUID | None = None,
    ) -> None:
        self.connection = connection
        self.municipality = municipality
        self.actor = actor
        self.now = clock.now()
        self.today = self.now.date()
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self._emitted: list[_Emitted] = []
        self._timers: dict[tuple[str, str], _Timer] = {}
        self._answer: KeptAnswer | None = None
        self.facts: list[tuple[str, int]] = []

    def emit(self, event: Fact, *, version: int) -> UUID:
        """Record a fact; it is published after the commit. Gives the event's id (UUIDv7).

        ``version`` is the aggregate's new, dense version, as its row now says.

        Raises:
            EventTooLarge: more than 512 KiB of JSON.
        """
        return self._emit(event, version, None)

    def _emit(self, event: Fact, version: int, told_in: str | None) -> UUID:
        payload = event.write()
        if len(payload.encode()) > PAYLOAD_LIMIT:
            raise EventTooLarge
        event_id = new_id()
        aggregate = event.aggregate()
        self._emitted.append(_Emitted(event_id, event.TOPIC, event.TYPE, aggregate, version, payload, told_in))
        self.facts.append((aggregate, version))
        return event_id

    def emit_in_versions(self, *tellings: Fact, version: int) -> int:
        """Record one fact in several major versions of its event, while some readers know only the older.

        Each telling is a record with a version of the aggregate: the first has ``version``, the next one more. Gives
        the last of them, which the aggregate's row must say. A reader takes the newest telling that it can read.

        Raises:
            EventTooLarge: one has more than 512 KiB of JSON.
            ValueError: they are not versions of one event about one aggregate, oldest first.
        """
        names = [telling.TYPE.rpartition(".v") for telling in tellings]
        majors = [int(major) for _, _, major in names]
        about = {(family, it.TOPIC, it.aggregate()) for (family, _, _), it in zip(names, tellings, strict=True)}
        if len(about) != 1 or majors != sorted(set(majors)):
            raise ValueError("tellings are versions of one event about one aggregate, oldest first")
        told_in = ",".join(map(str, majors)) if len(majors) > 1 else None
        for number, telling in enumerate(tellings):
            self._emit(telling, version + number, told_in)
        return version + len(tellings) - 1

    def emit_state(self, state: type[Fact], aggregate: str, *, version: int) -> None:
        """Point at a state that changed; the relay reads its present row when it publishes (:class:`StateSource`).

        The log holds no personal data this way. ``aggregate`` is ``<kind>/<id>``, ``version`` the state's version.
        """
        self._emitted.append(_Emitted(new_id(), state.TOPIC, state.TYPE, aggregate, version, None))

    def schedule(self, name: str, aggregate: str, due_at: datetime) -> None:
        """Set or move the timer ``name`` of an aggregate; ``due_at`` is civil time, with its zone."""
        self._timers[aggregate, name] = _Timer(aggregate, name, due_at)

    def cancel(self, name: str, aggregate: str) -> None:
        """Take a timer back; none set is no mistake."""
        self._timers[aggregate, name] = _Timer(aggregate, name, None)

    def keep_answer(self, answer: KeptAnswer) -> None:
        """Keep the command's answer for its repeats; written with the events and timers."""
        self._answer = answer

    async def flush(self) -> None:
        """Write events, answer and timers that are not written yet; the database calls it before COMMIT."""
        emitted, answer = self._emitted, self._answer
        self._emitted, self._answer = [], None
        if len(emitted) == 1:
            await self._append_one(emitted[0], answer)
        else:
            if emitted:
                await self._append(emitted)
            if answer is not None:
                await self.connection.execute(_KEEP_ANSWER, self.municipality, *answer)
        if self._timers:
            await self._write_timers(list(self._timers.values()))
            self._timers = {}

    async def _append(self, emitted: Sequence[_Emitted]) -> None:
        told_in = [each.told_in for each in emitted]
        await self.connection.execute(
            _APPEND_IN_VERSIONS if any(told_in) else _APPEND,
            [each.event_id for each in emitted],
            [each.topic for each in emitted],
            [each.type for each in emitted],
            [each.aggregate for each in emitted],
            [each.version for each in emitted],
            [key_hash(self.municipality, each.aggregate) for each in emitted],
            [each.payload for each in emitted],
            self.municipality,
            self.now,
            self.causation_id,
            self.correlation_id,
            self.actor.kind,
            self.actor.id,
            _traceparent(),
            *([told_in] if any(told_in) else ()),
        )

    async def _append_one(self, it: _Emitted, answer: KeptAnswer | None) -> None:
        await self.connection.execute(
            _APPEND_ONE if answer is None else _APPEND_ONE_AND_KEEP_ANSWER,
            it.event_id,
            it.topic,
            it.type,
            it.aggregate,
            it.version,
            key_hash(self.municipality, it.aggregate),
            it.payload,
            self.municipality,
            self.now,
            self.causation_id,
            self.correlation_id,
            self.actor.kind,
            self.actor.id,
            _traceparent(),
            *(answer or ()),
        )

    async def _write_timers(self, timers: Sequence[_Timer]) -> None:
        if cancelled := [timer for timer in timers if timer.due_at is None]:
            await self.connection.execute(
                _CANCEL,
                [timer.aggregate for timer in cancelled],
                [timer.name for timer in cancelled],
                self.municipality,
            )
        if scheduled := [timer for timer in timers if timer.due_at is not None]:
            await self.connection.execute(
                _SCHEDULE,
                [timer.aggregate for timer in scheduled],
                [timer.name for timer in scheduled],
                [timer.due_at for timer in scheduled],
                self.municipality,
                self.correlation_id,
            )

"""Reads records of Kafka into what projections and reactions get, or into the reason why they cannot be read.

Promise: no byte on a topic makes the consumer fail. Invalid JSON, NaN, a wrong municipality, an unknown major version
of a type that is wanted, a missing value, a payload that speaks of another aggregate than its record: each is told
apart with a stable code.

Proven by ``tests/corpus`` (each kind of bad record, hand-picked and made up) and
``tests/integration/messaging/test_poison.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from chassis import envelope
from chassis.consumer.decide import Subject
from chassis.envelope import Envelope, RawRecord, Unreadable
from chassis.service import ReadableFact, Received
from chassis.transaction import PAYLOAD_LIMIT

VersionKey = tuple[str, str, str]
"""(municipality, owner, aggregate)"""


@dataclass(slots=True)
class Incoming:
    """One record, read as far as it can be. ``received`` is there only if somebody wants it."""

    raw: RawRecord
    topic: str
    offset: int
    key: bytes | None
    envelope: Envelope | None
    subject: Subject
    holds: bool
    version_key: VersionKey | None
    received: Received[Any] | None


def _parse(kind: type[ReadableFact], value: bytes | None) -> Any:
    """The event of a payload; ``None`` of a state's tombstone.

    Raises:
        Unreadable: it is none.
    """
    if value is None:
        if kind.STATE:
            return None
        raise Unreadable("event.value_missing", "the record has no value, and its topic has no tombstones")
    if len(value) > PAYLOAD_LIMIT:
        raise Unreadable("event.too_large", f"the payload has {len(value)} bytes; {PAYLOAD_LIMIT} are allowed")
    try:
        return kind.read(value)
    except ValidationError as error:
        # Without the input: a reason is shown to operators and logged, a payload is not.
        places = "; ".join(
            f"{'.'.join(map(str, it['loc'])) or 'payload'}: {it['msg']}" for it in error.errors(include_input=False)
        )
        raise Unreadable("event.payload_invalid", places[:2000]) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("event.payload_invalid", f"the payload is not valid JSON: {error}"[:2000]) from error


def _event(kind: type[ReadableFact], it: Envelope, topic: str, value: bytes | None) -> Any:
    """The event of a record, which stands on its topic and speaks of the record's aggregate.

    Raises:
        Unreadable: it does not, or cannot be parsed.
    """
    if topic != kind.TOPIC:
        raise Unreadable("event.topic_differs", f"{it.type} has its place on {kind.TOPIC}")
    event = _parse(kind, value)
    if event is not None and event.aggregate() != it.aggregate:
        raise Unreadable("event.aggregate_differs", "the payload speaks of another aggregate than ce_subject")
    return event


class Reader:
    """Knows the wanted event classes of a service."""

    def __init__(self, prefix: str, wanted: Sequence[type[ReadableFact]]) -> None:
        self._strip = len(prefix)
        self._kinds = {kind.TYPE: kind for kind in wanted}
        self._families = {kind.TYPE.rpartition(".v")[0] for kind in wanted}
        self._owners = {kind.TOPIC: kind.TOPIC.partition(".")[0] for kind in wanted}
        self.compacted = {kind.TOPIC for kind in wanted if kind.STATE}
        """Topics of states: holes are allowed, versions need not be dense."""

    def topic(self, raw: RawRecord) -> str:
        """The topic's name without the installation's prefix."""
        return raw.topic[self._strip :]

    def read(self, raw: RawRecord) -> Incoming:
        """One record; never raises on account of its content."""
        topic = raw.topic[self._strip :]
        key, offset, state = raw.key, raw.offset, topic in self.compacted
        it: Envelope | None = None
        received: Received[Any] | None = None
        try:
            it = envelope.read(key, raw.headers)
            kind = self._kinds.get(it.type)
            if kind is None:
                self._pass_over(it.type)
            else:
                received = Received(
                    _event(kind, it, topic, raw.value),
                    it.id,
                    it.type,
                    it.municipality,
                    it.aggregate,
                    it.version,
                    it.occurred_at,
                    it.correlation_id,
                    it.causation_id,
                    it.traceparent,
                    topic,
                    raw.partition,
                    offset,
                )
        except Unreadable as problem:
            subject = Subject(state=state, problem=(problem.code, str(problem)))
            return Incoming(raw, topic, offset, key, it, subject, problem.holds, None, None)
        subject = Subject(it.version, it.id, received is not None, state)
        version_key = None if state else (it.municipality, self._owners[topic], it.aggregate)
        return Incoming(raw, topic, offset, key, it, subject, True, version_key, received)

    def _pass_over(self, type_: str) -> None:
        """Pass over a type that nobody here wants.

        Raises:
            Unreadable: it is wanted, but this major version of it is not known.
        """
        if type_.rpartition(".v")[0] in self._families:
            raise Unreadable("event.version_unknown", f"{type_} is a version this service cannot read yet")

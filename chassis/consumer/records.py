"""Reads records of Kafka into what projections and reactions get, or into the reason why they cannot be read.

Promise: no byte on a topic makes the consumer fail. Invalid JSON, NaN, a wrong municipality, an unknown major version
of a type that is wanted, a missing value, a payload that speaks of another aggregate than its record: each is told
apart with a stable code.

A fact takes effect once, in whatever version it is written: an older major version is read as the one that is wanted
(``readers`` of the event class); of a fact told in several versions the newest readable one is taken.

Proven by ``tests/corpus`` (each kind of bad record, hand-picked and made up),
``tests/integration/messaging/test_event_versions.py`` and ``test_poison.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class _Wanted(NamedTuple):
    """How records of one type are read: as which event class, and by what."""

    kind: type[ReadableFact]
    read: Callable[[str | bytes], Any]


def _parse(wanted: _Wanted, value: bytes | None) -> Any:
    """The event of a payload; ``None`` of a state's tombstone.

    Raises:
        Unreadable: it is none.
    """
    if value is None:
        if wanted.kind.STATE:
            return None
        raise Unreadable("event.value_missing", "the record has no value, and its topic has no tombstones")
    if len(value) > PAYLOAD_LIMIT:
        raise Unreadable("event.too_large", f"the payload has {len(value)} bytes; {PAYLOAD_LIMIT} are allowed")
    try:
        return wanted.read(value)
    except ValidationError as error:
        # Without the input: a reason is shown to operators and logged, a payload is not.
        places = "; ".join(
            f"{'.'.join(map(str, it['loc'])) or 'payload'}: {it['msg']}" for it in error.errors(include_input=False)
        )
        raise Unreadable("event.payload_invalid", places[:2000]) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("event.payload_invalid", f"the payload is not valid JSON: {error}"[:2000]) from error


def _event(wanted: _Wanted, it: Envelope, topic: str, value: bytes | None) -> Any:
    """The event of a record, which stands on its topic and speaks of the record's aggregate.

    Raises:
        Unreadable: it does not, or cannot be parsed.
    """
    if topic != wanted.kind.TOPIC:
        raise Unreadable("event.topic_differs", f"{it.type} has its place on {wanted.kind.TOPIC}")
    event = _parse(wanted, value)
    if event is not None and event.aggregate() != it.aggregate:
        raise Unreadable("event.aggregate_differs", "the payload speaks of another aggregate than ce_subject")
    return event


def _family(type_: str) -> str:
    return type_.rpartition(".v")[0]


def _major(type_: str) -> int:
    return int(type_.rpartition(".v")[2])


class Reader:
    """Knows the wanted event classes of a service: each in one major version, as which older ones are read too.

    Raises:
        ValueError: one event is wanted in two versions.
    """

    def __init__(self, prefix: str, wanted: Sequence[type[ReadableFact]]) -> None:
        self._strip = len(prefix)
        self._kinds = {type_: _Wanted(kind, read) for kind in wanted for type_, read in kind.readers().items()}
        self._newest = {_family(kind.TYPE): _major(kind.TYPE) for kind in wanted}
        twice = [kind.TYPE for kind in wanted if _major(kind.TYPE) != self._newest[_family(kind.TYPE)]]
        if twice:
            raise ValueError(f"{', '.join(twice)}: a newer version is wanted too; write everything for the newest")
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
            wanted = self._kinds.get(it.type)
            if wanted is None:
                self._pass_over(it)
            elif not it.told_in or self._is_the_one_to_take(it):
                received = Received(
                    _event(wanted, it, topic, raw.value),
                    it.id,
                    wanted.kind.TYPE,
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

    def _is_the_one_to_take(self, it: Envelope) -> bool:
        """Of a fact told in several versions, the newest that can be read here; the others pass by."""
        newest = self._newest[_family(it.type)]
        return _major(it.type) == max(version for version in (*it.told_in, _major(it.type)) if version <= newest)

    def _pass_over(self, it: Envelope) -> None:
        """Pass over a type that nobody here wants, or a fact that is told in an older version as well.

        Raises:
            Unreadable: it is wanted, but this major version of it is not known.
        """
        newest = self._newest.get(_family(it.type))
        if newest is not None and not any(version <= newest for version in it.told_in):
            raise Unreadable("event.version_unknown", f"{it.type} is a version this service cannot read yet")

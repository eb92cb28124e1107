"""CloudEvents 1.0 in Kafka's binary mode: attributes as headers, the payload as the record's value.

Promise: what the relay writes, :func:`read` reads back; any CloudEvents client reads the same. A record that is not
ours to understand is told apart by :class:`Unreadable` with a stable code, never by a crash. A null header is
ignored unless it is a required attribute.

Proven by ``tests/unit/chassis/messaging/test_envelope.py`` and, with the CloudEvents SDK, by the contract tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from asyncpg.pgproto.pgproto import UUID  # a uuid.UUID, read five times as fast

from chassis.municipality import INSTALLATION, is_municipality

SPECVERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/json")

Headers = Iterable[tuple[str, bytes | None]]


class RawRecord(Protocol):
    """A record as the Kafka client gives it; ``topic`` with the installation's prefix."""

    @property
    def topic(self) -> str:
        """Name, with prefix."""

    @property
    def partition(self) -> int:
        """From 0."""

    @property
    def offset(self) -> int:
        """From 0."""

    @property
    def key(self) -> bytes | None:
        """``<municipality>/<aggregate>`` of ours."""

    @property
    def value(self) -> bytes | None:
        """The payload; ``None`` is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Attributes, in order."""


class Unreadable(Exception):  # noqa: N818  says what the record is
    """The record is not a CloudEvent of ours. ``code`` is stable; ``holds`` says whether its key is held."""

    def __init__(self, code: str, message: str, *, holds: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.holds = holds


@dataclass(slots=True)
class Envelope:
    """The attributes of one record; ``subject`` is the aggregate, ``sequence`` its version."""

    id: UUID
    type: str
    municipality: str
    aggregate: str
    version: int
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None


@lru_cache(maxsize=4096)
def _may_stand(code: str) -> bool:
    return code == INSTALLATION or is_municipality(code)


def _text(found: dict[str, bytes | None], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise Unreadable("event.attribute_missing", f"the required header {name} is missing or null")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("event.attribute_invalid", f"the header {name} is not UTF-8") from error


def read(key: bytes | None, headers: Headers) -> Envelope:
    """The attributes of a record.

    Raises:
        Unreadable: with the reason; ``holds`` is false where there is no key to hold, or no type.
    """
    found = dict(headers)
    if found.get("ce_type") is None:
        raise Unreadable("event.type_missing", "the record has no ce_type", holds=False)
    if key is None:
        raise Unreadable("event.key_missing", "the record has no key", holds=False)
    municipality, aggregate = _text(found, "ce_municipality"), _text(found, "ce_subject")
    if not _may_stand(municipality):
        raise Unreadable("event.municipality_invalid", f"{municipality!r} is no municipality code")
    if key != f"{municipality}/{aggregate}".encode():
        raise Unreadable("event.key_differs", "the key is not ce_municipality/ce_subject")
    if found.get("ce_specversion") != b"1.0":
        raise Unreadable("event.specversion_unknown", "ce_specversion is not 1.0")
    causation, trace = found.get("ce_causationid"), found.get("traceparent")
    try:
        version = int(_text(found, "ce_sequence"))
        occurred_at = datetime.fromisoformat(_text(found, "ce_time"))
        envelope = Envelope(
            UUID(_text(found, "ce_id")),
            _text(found, "ce_type"),
            municipality,
            aggregate,
            version,
            occurred_at,
            UUID(_text(found, "ce_correlationid")),
            UUID(causation.decode()) if causation else None,
            trace.decode("ascii") if trace else None,
        )
    except ValueError as error:
        raise Unreadable("event.attribute_invalid", f"a header has an impossible value: {error}") from error
    if version < 1 or occurred_at.tzinfo is None:
        raise Unreadable("event.attribute_invalid", "ce_sequence starts at 1, ce_time has an offset")
    return envelope


def readable_parts(headers: Headers) -> tuple[str | None, UUID | None, str | None]:
    """Municipality, event id and type of a record as far as they can be read, for its dead letter."""
    found = dict(headers)
    municipality = (found.get("ce_municipality") or b"").decode(errors="replace")
    try:
        event_id = UUID((found.get("ce_id") or b"").decode())
    except ValueError:
        event_id = None
    type_ = (found.get("ce_type") or b"").decode(errors="replace") or None
    return (municipality if _may_stand(municipality) else None), event_id, type_

"""CloudEvents 1.0 in Kafka's binary mode: attributes as headers, the payload as the record's value.

Promise: what the relay writes, :func:`read` reads back; any CloudEvents client reads the same. A record that is not
ours to understand is told apart by :class:`Unreadable` with a stable code, never by a crash. A null header is
ignored unless it is a required attribute.

Proven by ``tests/unit/chassis/messaging/test_envelope.py`` and, with the CloudEvents SDK, by the contract tests.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from asyncpg.pgproto.pgproto import UUID  # a uuid.UUID, read five times as fast

from chassis.municipality import INSTALLATION, is_municipality

SPECVERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/json")
VERSIONS = "ce_versions"
"""Attribute of a fact that is told in several major versions: which, as in ``1,2``."""

KEY_LIMIT = 1000
"""Bytes of a key. Ours are far shorter; PostgreSQL's indexes, in which keys stand, take 2,704."""

_GREATEST_VERSION = 2**63 - 1
"""What a bigint takes."""

_LAST_YEAR = 9999
"""Parts of the first and of the last year do not exist in every zone."""

Headers = Collection[tuple[str, bytes | None]]


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
    told_in: tuple[int, ...] = ()
    """Major versions in which the same fact is told, each by a record of its own; empty: in this one only."""


@lru_cache(maxsize=4096)
def _may_stand(code: str) -> bool:
    return code == INSTALLATION or is_municipality(code)


_REQUIRED = ("ce_municipality", "ce_subject", "ce_sequence", "ce_time", "ce_id", "ce_correlationid")


def _refuse_attributes_given_twice(headers: Headers) -> None:
    """Two readers would take two different ones. Other headers may repeat."""
    names = [name for name, _ in headers if name.startswith("ce_")]
    if len(set(names)) < len(names):
        raise Unreadable("event.attribute_invalid", "an attribute is given twice")


def read(key: bytes | None, headers: Headers) -> Envelope:
    """The attributes of a record.

    Raises:
        Unreadable: with the reason; ``holds`` is false where there is no key to hold, none of ours, or no type.
    """
    found = dict(headers)
    if not found.get("ce_type"):
        raise Unreadable("event.type_missing", "the record has no ce_type", holds=False)
    if key is None:
        raise Unreadable("event.key_missing", "the record has no key", holds=False)
    if len(key) > KEY_LIMIT:
        raise Unreadable("event.key_too_long", f"the key has {len(key)} bytes, none of ours has", holds=False)
    if len(found) < len(headers):
        _refuse_attributes_given_twice(headers)
    try:
        return _read(key, found)  # type: ignore[arg-type]  # a null where bytes must be is told apart here, not there
    except (KeyError, AttributeError) as error:
        name = next((name for name in _REQUIRED if found.get(name) is None), "?")
        raise Unreadable("event.attribute_missing", f"the required header {name} is missing or null") from error
    except ValueError as error:
        raise Unreadable("event.attribute_invalid", f"a header has an impossible value: {error}"[:500]) from error


def _read(key: bytes, found: dict[str, bytes]) -> Envelope:
    """Every record comes through here: no call and no test that a good one does not need."""
    municipality, aggregate = found["ce_municipality"].decode(), found["ce_subject"].decode()
    if not _may_stand(municipality):
        raise Unreadable("event.municipality_invalid", f"{municipality[:20]!r} is no municipality code")
    if key != f"{municipality}/{aggregate}".encode():
        raise Unreadable("event.key_differs", "the key is not ce_municipality/ce_subject")
    if found.get("ce_specversion") != b"1.0":
        raise Unreadable("event.specversion_unknown", "ce_specversion is not 1.0")
    sequence, causation, trace = found["ce_sequence"], found.get("ce_causationid"), found.get("traceparent")
    if not sequence.isdigit():  # int() takes spaces, signs and the digits of every script
        raise Unreadable("event.attribute_invalid", "ce_sequence is no whole number")
    version = int(sequence)
    occurred_at = datetime.fromisoformat(found["ce_time"].decode())
    if not 0 < version <= _GREATEST_VERSION or occurred_at.tzinfo is None or not 1 < occurred_at.year < _LAST_YEAR:
        raise Unreadable("event.attribute_invalid", "ce_sequence is a bigint from 1 on, ce_time has an offset")
    if b"\x00" in key:
        raise Unreadable("event.attribute_invalid", "ce_subject holds a NUL character, which no column takes")
    return Envelope(
        UUID(found["ce_id"].decode()),
        found["ce_type"].decode(),
        municipality,
        aggregate,
        version,
        occurred_at,
        UUID(found["ce_correlationid"].decode()),
        UUID(causation.decode()) if causation else None,
        trace.decode() if trace and trace.isascii() else None,  # a broken trace is no reason to lose a fact
        _told_in(versions) if (versions := found.get(VERSIONS)) else (),
    )


def _told_in(text: bytes) -> tuple[int, ...]:
    if not all(part.isdigit() for part in text.split(b",")):
        raise ValueError(f"{VERSIONS} lists major versions, as in 1,2")
    return tuple(map(int, text.split(b",")))


def readable_parts(headers: Headers) -> tuple[str | None, UUID | None, str | None]:
    """Municipality, event id and type of a record as far as they can be read, for its dead letter."""
    found = dict(headers)
    municipality = (found.get("ce_municipality") or b"").decode(errors="replace")
    try:
        event_id = UUID((found.get("ce_id") or b"").decode())
    except ValueError:
        event_id = None
    type_ = (found.get("ce_type") or b"").decode(errors="replace") or None
    return (municipality if _may_stand(municipality) else None), event_id, type_ and storable(type_)


def storable(text: str) -> str:
    """The text as PostgreSQL takes it: a replacement character for NUL and for half a character."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()

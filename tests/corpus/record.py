"""One record of a topic as it travels, and what it must become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

Header = tuple[str, bytes | None]

APPLIED, PASSED, SKIPPED = "applied", "passed", "skipped"
"""What becomes of a record beside a dead letter: it had its effect; nobody here wants it; it was dealt with before."""

ABSENT = b"(absent)"
"""In place of a header's value: the header is not there at all; ``None`` is a null header."""


@dataclass(frozen=True, slots=True)
class Record:
    """Bytes on a topic (name without prefix); looks like what the Kafka client gives."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    partition: int = 0
    offset: int = 0

    def header(self, name: str) -> bytes | None:
        """The last header of this name, as a reader takes it."""
        return dict(self.headers).get(name)

    def but(self, **changes: bytes | None) -> Record:
        """With other attributes, named without ``ce_``."""
        return replace(self, headers=changed(self.headers, {f"ce_{name}": value for name, value in changes.items()}))

    @property
    def id(self) -> str:
        """``ce_id`` as text."""
        return (self.header("ce_id") or b"").decode(errors="replace")


def changed(headers: Iterable[Header], changes: Mapping[str, bytes | None]) -> tuple[Header, ...]:
    """Headers with some of them changed, in their places; new ones come last."""
    left = dict(changes)
    made = [(name, left.pop(name, value)) for name, value in headers]
    return tuple((name, value) for name, value in [*made, *left.items()] if value != ABSENT)


@dataclass(frozen=True, slots=True)
class Case:
    """A record that somebody might write, and what must become of it.

    ``becomes``  ``applied``, ``passed``, ``skipped``, or the code of its one dead letter
    ``before``   good records of its aggregate that come first, versions 1 to this
    ``holds``    whether a dead letter of it holds the key it bears
    """

    name: str
    becomes: str
    record: Record
    before: int = 0
    holds: bool = True

    @property
    def is_dead(self) -> bool:
        """Whether it ends as a dead letter."""
        return self.becomes not in {APPLIED, PASSED, SKIPPED}

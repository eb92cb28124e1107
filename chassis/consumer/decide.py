"""What becomes of each record of a batch: applied, skipped, held or dead. Pure.

Promise: an event takes effect exactly once and in order per aggregate, however often and by whomever it is delivered;
an event that can never be applied stops its own key and nothing else.

Three rules, each with its own function:

``placement``    the locked offset decides what of a delivery is new: a redelivered prefix is dropped, a hole stops
``judge``        the version of the aggregate decides: the next one is applied, an old one skipped, a gap is dead
``FailureRatio`` when most events fail, it is the program and not the events: consumption stops

Proven by ``tests/unit/chassis/messaging/test_consumer_decisions.py`` and, in the loop with everything else, by
``tests/simulation``; both catch mutants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from uuid import UUID


class Known(NamedTuple):
    """The newest version of an aggregate that this consumer has dealt with, and the event that made it."""

    version: int
    event_id: UUID | None


class Verdict(Enum):
    """What becomes of a record. ``SKIP``: it was dealt with before. ``PASS``: nobody here wants its type."""

    APPLY = "applied"
    PASS = "passed"  # noqa: S105  no password
    SKIP = "skipped"
    HOLD = "held"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict; for ``DEAD`` with a stable code and the reason."""

    verdict: Verdict
    code: str = ""
    reason: str = ""


_APPLY, _PASS, _SKIP, _HOLD = (Judgement(it) for it in (Verdict.APPLY, Verdict.PASS, Verdict.SKIP, Verdict.HOLD))


class Subject(NamedTuple):
    """What the judgement of one record rests on. ``problem``: (code, reason) where it cannot be read."""

    version: int = 0
    event_id: UUID | None = None
    wanted: bool = True
    state: bool = False
    problem: tuple[str, str] | None = None


def judge(subject: Subject, known: Known | None, *, key_is_held: bool) -> Judgement:
    """The verdict on one record, given what is known of its aggregate and whether its key waits behind another."""
    current = known.version if known is not None else 0
    fact = subject.problem is None and not subject.state
    if fact and (subject.version < current or (subject.version, subject.event_id) == known):
        return _SKIP
    if key_is_held:
        return _HOLD
    problem = subject.problem or (_discontinuity(subject.version, current) if fact else None)
    if problem is not None:
        return Judgement(Verdict.DEAD, *problem)
    return _APPLY if subject.wanted else _PASS


def _discontinuity(version: int, current: int) -> tuple[str, str] | None:
    if version == current:
        reason = f"version {current} was another event before; was the producer restored from a backup?"
        return "event.version_conflict", reason
    if version > current + 1:
        return "event.version_gap", f"version {version} came after {current}; events are missing"
    return None


class MisplacedError(Exception):
    """The delivery does not continue where this consumer stands. ``next`` is where it stands."""

    def __init__(self, next_offset: int, found: int) -> None:
        super().__init__(f"the log goes on at offset {found}, but {next_offset} is the next to apply")
        self.next = next_offset
        self.found = found


def placement(next_offset: int, offsets: Sequence[int], *, compacted_from: int | None = None) -> int:
    """How many records at the start of a delivery were dealt with before (redelivery, a zombie's late batch).

    ``compacted_from``: of a compacted topic, the offset from which on everything that is there was delivered; what is
    missing behind it was taken by compaction. Elsewhere nothing may be missing.

    Raises:
        MisplacedError: offsets are missing; with a compacted topic: before those that were delivered, as the stored
            offset went back with its database.
    """
    drop = 0
    for offset in offsets:
        if offset >= next_offset:
            break
        drop += 1
    rest = len(offsets) - drop
    if compacted_from is not None:
        if rest and next_offset < compacted_from:
            raise MisplacedError(next_offset, compacted_from)
    elif rest:
        if offsets[drop] != next_offset:
            raise MisplacedError(next_offset, offsets[drop])
        if offsets[-1] - offsets[drop] + 1 != rest:
            hole = next(
                offsets[index] for index in range(drop + 1, len(offsets)) if offsets[index] != offsets[index - 1] + 1
            )
            raise MisplacedError(next_offset, hole)
    return drop


@dataclass(slots=True)
class FailureRatio:
    """Tells a bad event from a bad deploy: of the last minute's events, how many failed.

    ``seconds`` length of the window, ``minimum`` events before any ratio counts, ``limit`` the ratio that stops.
    """

    seconds: float = 60.0
    minimum: int = 20
    limit: float = 0.5
    _seen: deque[tuple[float, int, int]] = field(default_factory=deque)
    _total: int = 0
    _failed: int = 0

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[0][0] < now - self.seconds:
            _, total, failed = self._seen.popleft()
            self._total -= total
            self._failed -= failed

    def note(self, now: float, *, total: int, failed: int = 0) -> None:
        """Count events; ``now`` in seconds of any clock that does not go back."""
        self._forget(now)
        self._seen.append((now, total, failed))
        self._total += total
        self._failed += failed

    def would_stop(self, now: float) -> bool:
        """Whether one more failure makes it too many."""
        self._forget(now)
        return self._total + 1 >= self.minimum and (self._failed + 1) / (self._total + 1) >= self.limit

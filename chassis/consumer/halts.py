"""Which partitions stand still, why, and when they are tried again. Pure.

Promise: a stop has a reason and survives a restart. A consumer stopped because most events fail waits for an operator.
One stopped because a log does not fit, a ``paused`` partition (a transient fault that outlasted its retries) and a
``blocked`` one (a key over its limit) are probed by themselves, and a probe that passes clears them.

Invariant: what stands still has a row in ``stops`` or in ``unsaved``, and only deleting it or a probe ends that.

Proven by ``tests/unit/chassis/messaging/test_halts.py`` and ``tests/simulation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from chassis.consumer.ledger import Partition, Stop

PROBE_SECONDS = 15.0
"""How long a paused or blocked partition waits for its next probe."""

WHOLE: Partition = ("", -1)
"""Stands for the whole consumer."""


@dataclass(slots=True)
class Halts:
    """Stops of one consumer as this process knows them."""

    unsaved: list[Stop] = field(default_factory=list)
    """Stops to write to the table; the database may be what is down."""
    cleared: list[Partition] = field(default_factory=list)
    """Stops to delete from the table."""
    _stops: dict[Partition, Stop] = field(default_factory=dict)
    _probe_at: dict[Partition, float] = field(default_factory=dict)
    _probing: set[Partition] = field(default_factory=set)

    @property
    def stopped(self) -> Stop | None:
        """The stop of the whole consumer, if there is one."""
        return self._stops.get(WHOLE)

    @property
    def all(self) -> list[Stop]:
        """Every stop, for health."""
        return list(self._stops.values())

    def note(self, stop: Stop, now: float) -> None:
        """A new stop, or a probe that failed."""
        self.unsaved.append(stop)
        self._set(stop, now)

    def _set(self, stop: Stop, now: float) -> None:
        place = (stop.topic, stop.partition)
        self._stops[place] = stop
        self._probing.discard(place)
        self._probe_at[place] = now + PROBE_SECONDS

    def stands_still(self, partition: Partition) -> bool:
        """Whether this partition must not be consumed now."""
        return any(place in self._stops and place not in self._probing for place in (WHOLE, partition))

    @property
    def probing_whole(self) -> bool:
        """Whether the stop of the whole consumer is being probed."""
        return WHOLE in self._probing

    def reconcile(self, saved: Iterable[Stop], now: float) -> None:
        """Take over the table's rows: what an operator deleted is forgotten, what is due is probed."""
        rows = {(stop.topic, stop.partition): stop for stop in [*saved, *self.unsaved]}
        for place in self.cleared:
            rows.pop(place, None)
        for place in [it for it in self._stops if it not in rows]:
            self._forget(place)
        for place, stop in rows.items():
            if place not in self._stops:
                self._set(stop, now)
            elif stop.probed and self._probe_at[place] <= now:
                self._probing.add(place)

    def passed(self, partition: Partition) -> None:
        """Records of this partition were applied: its stop, if it had one, is cleared."""
        if partition in self._stops:
            self._forget(partition)
            self.unsaved = [stop for stop in self.unsaved if (stop.topic, stop.partition) != partition]
            self.cleared.append(partition)

    def _forget(self, place: Partition) -> None:
        del self._stops[place]
        self._probe_at.pop(place, None)
        self._probing.discard(place)

"""Where the relay stands, as a pure value: snapshot windows over the event log.

Promise: every committed row is in exactly one window, whatever transactions overlap, and rows of one aggregate are in
version order. A window is what is visible in ``cur`` and not in ``prev``; it is walked by position in pages. The
place is saved only after the broker acknowledged a page, so a crash repeats a page and loses none.

Invariant: a row visible in ``prev`` was published; so was every row of the half-done window up to ``last``.

The lower bound ``floor`` is the last position drawn before a barrier that precedes the snapshot: a transaction of the
relay's own that took an id and ended. So whoever is at or above the snapshot's ``xmax`` got an id after the barrier and
drew positions above the floor, and one branch walks the index of positions from there. Without the barrier rows are
lost: ``xmax`` follows the last id that ended, and ids above it may be in use already. Rows of transactions that were
open in ``prev`` and below its ``xmax`` are found by their id.

Proven by ``tests/unit/chassis/messaging/test_relay_window.py`` and, in the loop with everything else, by
``tests/simulation``; both catch mutants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

BEGINNING = "1:1:"
"""A snapshot in which nothing is visible."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``taken`` is PostgreSQL's text ``xmin:xmax:xip,…``; ``floor`` was drawn before the barrier before it."""

    taken: str
    floor: int
    taken_at: datetime

    @property
    def open_transactions(self) -> bool:
        """Whether any transaction with an id was open."""
        return not self.taken.endswith(":")


@dataclass(frozen=True, slots=True)
class Place:
    """``cur`` is ``None`` between two windows; ``last`` is the last published position of the window."""

    prev: Snapshot
    cur: Snapshot | None = None
    last: int = 0

    @property
    def lower_bound(self) -> int:
        """Rows of transactions at or above the ``xmax`` of ``prev`` are above this position."""
        return max(self.prev.floor, self.last)

    def open(self, snapshot: Snapshot) -> Place:
        """Begin a window up to ``snapshot``; a half-done one goes on instead."""
        return self if self.cur is not None else replace(self, cur=snapshot, last=0)

    def worth_asking(self, floor: int) -> bool:
        """Whether there may be rows, given the last position drawn. If not, the place must stay as it is.

        No position drawn and nobody was open: nothing yet. Going on to a newer snapshot could skip a row that slipped
        in after the floor was read; staying finds it at the next look.
        """
        return floor != self.prev.floor or self.prev.open_transactions

    def after(self, positions: Sequence[int], limit: int) -> Place:
        """The place once this page was acknowledged. A page that is not full ends its window."""
        if self.cur is None:
            raise ValueError("no window is open")
        if len(positions) < limit:
            return Place(prev=self.cur)
        return replace(self, last=positions[-1])


START = Place(prev=Snapshot(BEGINNING, 0, datetime(2000, 1, 1, tzinfo=UTC)))
"""Where a service's relay begins: nothing was published."""

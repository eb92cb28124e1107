"""PostgreSQL as far as the relay's windows rest on it: transaction ids, snapshots, a sequence, committed rows.

``xmax`` of a snapshot follows the last id that *ended*, as in the real one: ids above it may be running and have drawn
positions already. A model that used the next id to be given would hide exactly the mistake these tests look for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """One event."""

    position: int
    xid: int
    aggregate: str
    version: int


@dataclass
class Postgres:
    """One database."""

    next_xid: int = 10
    ended: int = 9
    running: set[int] = field(default_factory=set)
    last_value: int = 0
    committed: list[Row] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)

    def take_xid(self) -> int:
        """Give an id to a transaction."""
        xid = self.next_xid
        self.next_xid += 1
        self.running.add(xid)
        return xid

    def end(self, xid: int) -> None:
        """Commit or roll back."""
        self.running.discard(xid)
        self.ended = max(self.ended, xid)

    def snapshot(self) -> str:
        """``xmin:xmax:xip``."""
        xmax = self.ended + 1
        xip = sorted(xid for xid in self.running if xid < xmax)
        return f"{xip[0] if xip else xmax}:{xmax}:{','.join(map(str, xip))}"

    def barrier(self) -> None:
        """A transaction that takes an id and ends."""
        self.end(self.take_xid())

    def page(self, prev: str, cur: str, lower_bound: int, last: int, limit: int) -> list[Row]:
        """What the two branches of the relay's query give."""
        xmax, xip = _parts(prev)
        rows = [
            row
            for row in self.committed
            if visible(row.xid, cur)
            and ((row.position > lower_bound and row.xid >= xmax) or (row.xid in xip and row.position > last))
        ]
        return sorted(rows, key=lambda row: row.position)[:limit]

    def writer(self, chance: random.Random) -> Iterator[None]:
        """A command in steps: lock an aggregate, draw positions, commit or roll back."""
        aggregate = f"a{chance.randrange(4)}"
        early = self.take_xid() if chance.random() < 0.5 else None
        yield
        while aggregate in self.locked:
            yield
        self.locked.add(aggregate)
        xid = early or self.take_xid()
        yield
        rows = []
        for number in range(chance.randint(1, 3)):
            self.last_value += 1
            rows.append(Row(self.last_value, xid, aggregate, self.versions.get(aggregate, 0) + number + 1))
            yield
        if chance.random() < 0.85:
            self.committed += rows
            self.versions[aggregate] = self.versions.get(aggregate, 0) + len(rows)
        self.end(xid)
        self.locked.discard(aggregate)


def _parts(snapshot: str) -> tuple[int, set[int]]:
    _, xmax, xip = snapshot.split(":")
    return int(xmax), {int(xid) for xid in xip.split(",") if xid}


def visible(xid: int, snapshot: str) -> bool:
    """``pg_visible_in_snapshot``."""
    xmax, xip = _parts(snapshot)
    return xid < xmax and xid not in xip

"""The relay's windows, driven by a seeded simulation of PostgreSQL, writers, a broker and crashes.

The simulation is itself checked: each known mistake must be caught by it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chassis.relay.window import START, Place, Snapshot
from tests.unit.chassis.messaging.postgres_model import Postgres, Row

SCHEDULES = 1500
NOW = datetime(2026, 4, 1, tzinfo=UTC)


class Relay:
    """The loop's order of steps, with a pause between any two, so that writers and crashes come in between."""

    def __init__(self, database: Postgres, published: list[Row], saved: list[Place], limit: int, mutant: str) -> None:
        self.database = database
        self.published = published
        self.saved = saved
        self.limit = limit
        self.mutant = mutant

    def run(self) -> Iterator[None]:
        place = self.saved[-1]
        while True:
            if place.cur is None:
                floor = self.database.last_value
                yield
                if self.mutant != "no barrier" and floor != place.prev.floor:
                    self.database.barrier()
                    yield
                if not place.worth_asking(floor):
                    if self.mutant == "going on where nothing was drawn":
                        place = Place(Snapshot(self.database.snapshot(), floor, NOW))
                    yield
                    continue
                place = place.open(Snapshot(self.database.snapshot(), floor, NOW))
                yield
            rows = self._page(place)
            yield
            after = place.after([row.position for row in rows], self.limit)
            if self.mutant == "saved before the acknowledgement":
                self.saved.append(after)
                yield
            self.published += rows
            yield
            place = after
            self.saved.append(place)
            yield

    def _page(self, place: Place) -> list[Row]:
        assert place.cur is not None
        if self.mutant == "position above the last":
            highest = max((row.position for row in self.published), default=0)
            return sorted(
                (row for row in self.database.committed if row.position > highest), key=lambda row: row.position
            )[: self.limit]
        return self.database.page(place.prev.taken, place.cur.taken, place.lower_bound, place.last, self.limit)


def simulate(seed: int, mutant: str = "") -> str | None:
    """One schedule; gives what went wrong."""
    chance = random.Random(seed)  # noqa: S311  a simulation
    database = Postgres()
    if chance.random() < 0.3:
        database.take_xid()  # a transaction of another database stays open all the time
    published: list[Row] = []
    saved = [START]
    limit = chance.choice([1, 2, 3, 10])

    def begin() -> Iterator[None]:
        return Relay(database, published, saved, limit, mutant).run()

    relay = begin()
    writers = [database.writer(chance) for _ in range(chance.randint(2, 5))]
    left = 12
    while writers:
        if chance.random() < 0.03:
            relay = begin()  # a crash: what was not saved is forgotten
        if chance.random() < 0.5:
            next(relay)
            continue
        writer = chance.choice(writers)
        if next(writer, writer) is writer:
            writers.remove(writer)
            if left:
                left -= 1
                writers.append(database.writer(chance))
    for _ in range(200):
        next(relay)
    return complaint(database, published)


def complaint(database: Postgres, published: list[Row]) -> str | None:
    """Lost or inverted."""
    if lost := set(database.committed) - set(published):
        return f"lost {lost}"
    seen: dict[str, int] = {}
    for row in published:
        version = seen.get(row.aggregate, 0)
        if row.version > version + 1:
            return f"inverted: {row} after version {version}"
        seen[row.aggregate] = max(version, row.version)
    return None


def test_no_schedule_loses_or_inverts_an_event() -> None:
    for seed in range(SCHEDULES):
        assert simulate(seed) is None, f"seed {seed}"


@pytest.mark.parametrize(
    "mutant",
    [
        "no barrier",
        "position above the last",
        "saved before the acknowledgement",
        "going on where nothing was drawn",
    ],
)
def test_the_simulation_catches(mutant: str) -> None:
    assert any(simulate(seed, mutant) for seed in range(SCHEDULES))


def test_a_page_that_is_not_full_ends_the_window() -> None:
    opened = START.open(Snapshot("20:20:", 7, NOW))
    assert opened.after([1, 2], limit=3) == Place(prev=Snapshot("20:20:", 7, NOW))


def test_a_full_page_goes_on_after_its_last_position() -> None:
    opened = START.open(Snapshot("20:20:", 7, NOW))
    after = opened.after([1, 2, 5], limit=3)
    assert (after.cur, after.last, after.lower_bound) == (opened.cur, 5, 5)
    assert after.open(Snapshot("30:30:", 9, NOW)) is after


def test_without_a_window_there_is_no_page() -> None:
    with pytest.raises(ValueError, match="no window"):
        START.after([], limit=3)


def test_an_idle_log_needs_no_query() -> None:
    place = Place(prev=Snapshot("20:20:", 7, NOW))
    assert not place.worth_asking(7)
    assert place.worth_asking(8)
    assert Place(prev=Snapshot("19:20:19", 7, NOW)).worth_asking(7)

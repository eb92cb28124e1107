"""What becomes of each record, driven by a seeded simulation: redelivery, duplicates, zombies, crashes, poison."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from chassis.consumer.decide import (
    FailureRatio,
    Known,
    MisplacedError,
    Subject,
    Verdict,
    judge,
    placement,
)

SCHEDULES = 3000


@dataclass(frozen=True)
class Record:
    """One record of one partition."""

    offset: int
    key: str
    version: int
    event: UUID
    poison: bool = False


@dataclass
class Store:
    """A service's database: what one transaction changes at once."""

    next: int = 0
    known: dict[str, Known] = field(default_factory=dict)
    dead: list[Record] = field(default_factory=list)
    held: list[Record] = field(default_factory=list)
    applied: list[Record] = field(default_factory=list)

    def copy(self) -> Store:
        return Store(self.next, dict(self.known), list(self.dead), list(self.held), list(self.applied))

    def become(self, other: Store) -> None:
        self.__dict__.update(other.__dict__)


def topic(chance: random.Random) -> list[Record]:
    """A log in which every event stands at least once, some twice or later again, as relays leave it."""
    versions: dict[str, int] = {}
    written: list[Record] = []
    for _ in range(chance.randint(5, 25)):
        if written and chance.random() < 0.2:
            again = chance.choice(written)
            written.append(Record(len(written), again.key, again.version, again.event, again.poison))
            continue
        key = f"k{chance.randrange(3)}"
        versions[key] = versions.get(key, 0) + 1
        event = UUID(int=chance.getrandbits(128))
        written.append(Record(len(written), key, versions[key], event, chance.random() < 0.05))
    return written


def deal(store: Store, record: Record, mutant: str) -> None:
    """One record in one transaction."""
    key_is_held = any(it.key == record.key for it in [*store.dead, *store.held])
    known = store.known.get(record.key)
    verdict = judge(Subject(record.version, record.event), known, key_is_held=key_is_held).verdict
    if mutant == "no version check" and verdict is Verdict.SKIP:
        verdict = Verdict.APPLY
    if mutant == "nobody is held" and verdict is Verdict.HOLD:
        verdict = Verdict.APPLY
    if verdict is Verdict.HOLD:
        store.held.append(record)
    elif verdict is Verdict.DEAD or (verdict is Verdict.APPLY and record.poison):
        store.dead.append(record)
    elif verdict is Verdict.APPLY:
        store.applied.append(record)
        store.known[record.key] = Known(record.version, record.event)
    store.next = record.offset + 1


class Consumer:
    """One process: it fetches from where it stands and deals with a batch later, perhaps much later."""

    def __init__(self, log: list[Record], store: Store, chance: random.Random, mutant: str) -> None:
        self.log = log
        self.store = store
        self.chance = chance
        self.mutant = mutant
        self.position = store.next
        self.batch: list[Record] = []

    def step(self) -> None:
        if not self.batch:
            self.batch = self.log[self.position : self.position + self.chance.randint(1, 4)]
            return
        batch, self.batch = self.batch, []
        if self.mutant == "offset stored first":
            self.store.next = batch[-1].offset + 1
            if self.chance.random() < 0.1:
                return  # killed between the two
        try:
            drop = placement(self.store.next, [record.offset for record in batch])
        except MisplacedError:
            self.position = self.store.next
            return
        if self.mutant in {"no offset check", "offset stored first"}:
            drop = 0
        work = self.store.copy()
        for record in batch[drop:]:
            deal(work, record, self.mutant)
        if self.chance.random() < 0.1:
            self.position = self.store.next
            return  # killed before the commit: nothing happened
        self.store.become(work)
        self.position = batch[-1].offset + 1
        if self.chance.random() < 0.1:
            self.position = max(0, self.position - self.chance.randint(0, 5))  # redelivery


def simulate(seed: int, mutant: str = "") -> str | None:
    """One schedule of two processes that may both believe to own the partition; gives what went wrong."""
    chance = random.Random(seed)  # noqa: S311  a simulation
    log, store = topic(chance), Store()
    processes = [Consumer(log, store, chance, mutant) for _ in range(2)]
    for _ in range(120):
        process = processes[0] if chance.random() < 0.7 else processes[1]
        if chance.random() < 0.03:
            process.position, process.batch = store.next, []  # killed and started again
        process.step()
    last = Consumer(log, store, random.Random(0), mutant)  # noqa: S311  a simulation
    while store.next < len(log):
        last.position, last.batch = store.next, []
        last.step()
        last.step()
    return complaint(log, store)


def complaint(log: list[Record], store: Store) -> str | None:
    """Lost, applied twice, inverted, or passed by a dead one."""
    by_key: dict[str, list[int]] = {}
    for record in store.applied:
        by_key.setdefault(record.key, []).append(record.version)
    for key, versions in by_key.items():
        if versions != list(range(1, len(versions) + 1)):
            return f"{key} was applied as {versions}"
    accounted = {it.event for it in [*store.applied, *store.dead, *store.held]}
    if lost := [record for record in log if record.event not in accounted]:
        return f"lost {lost}"
    return None


def test_no_schedule_loses_repeats_or_inverts() -> None:
    for seed in range(SCHEDULES):
        assert simulate(seed) is None, f"seed {seed}"


@pytest.mark.parametrize("mutant", ["no version check", "nobody is held", "offset stored first"])
def test_the_simulation_catches(mutant: str) -> None:
    assert any(simulate(seed, mutant) for seed in range(SCHEDULES))


ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("version", "event", "known", "verdict"),
    [
        (1, ONE, None, Verdict.APPLY),
        (2, ONE, None, Verdict.DEAD),
        (2, ONE, Known(1, OTHER), Verdict.APPLY),
        (1, ONE, Known(1, ONE), Verdict.SKIP),
        (1, ONE, Known(1, OTHER), Verdict.DEAD),
        (1, ONE, Known(3, OTHER), Verdict.SKIP),
        (5, ONE, Known(3, OTHER), Verdict.DEAD),
    ],
)
def test_the_version_of_the_aggregate_decides(version: int, event: UUID, known: Known | None, verdict: Verdict) -> None:
    assert judge(Subject(version, event), known, key_is_held=False).verdict is verdict


def test_a_held_key_holds_what_is_new_and_skips_what_was_dealt_with() -> None:
    assert judge(Subject(2, ONE), Known(1, OTHER), key_is_held=True).verdict is Verdict.HOLD
    assert judge(Subject(1, OTHER), Known(1, OTHER), key_is_held=True).verdict is Verdict.SKIP
    assert judge(Subject(problem=("code", "why")), None, key_is_held=True).verdict is Verdict.HOLD


def test_a_type_nobody_wants_passes_in_its_turn_only() -> None:
    assert judge(Subject(1, ONE, wanted=False), None, key_is_held=False).verdict is Verdict.PASS
    assert judge(Subject(3, ONE, wanted=False), None, key_is_held=False).code == "event.version_gap"


def test_a_state_is_outside_the_dense_version_rule() -> None:
    assert judge(Subject(9, ONE, state=True), None, key_is_held=False).verdict is Verdict.APPLY


def test_a_redelivered_prefix_is_dropped() -> None:
    assert placement(5, [3, 4, 5, 6]) == 2
    assert placement(9, [3, 4]) == 2


@pytest.mark.parametrize("offsets", [[6, 7], [5, 7], [4, 5, 6, 8]])
def test_a_hole_stops_except_on_a_compacted_topic(offsets: list[int]) -> None:
    with pytest.raises(MisplacedError):
        placement(5, offsets)
    placement(5, offsets, compacted_from=4)


def test_what_is_missing_before_a_delivery_was_not_taken_by_compaction() -> None:
    with pytest.raises(MisplacedError):
        placement(5, [8, 9], compacted_from=6)
    assert placement(5, [8, 9], compacted_from=5) == 0
    assert placement(9, [7, 8], compacted_from=6) == 2


def test_a_few_failures_are_the_events_fault_and_many_the_programs() -> None:
    ratio = FailureRatio(seconds=60, minimum=20, limit=0.5)
    for second in range(18):
        ratio.note(second, total=1, failed=1)
    assert not ratio.would_stop(18)
    ratio.note(18, total=1, failed=1)
    assert ratio.would_stop(19)
    assert not ratio.would_stop(200)
    ratio.note(200, total=100)
    assert not ratio.would_stop(200)

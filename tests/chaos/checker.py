"""Says what was lost, applied twice, inverted or cannot be explained. Pure: evidence in, anomalies out.

acknowledged commands = state = event log = topic (deduplicated) = projections = effects, round the whole circle;
stored offsets never go back; one committed apply per (consumer, topic, generation, partition, offset).

Where the clerk's database was restored from a backup (:class:`Restored`), what was decided after the backup and before
the restore may be absent, each command whole or not at all; a fact that was lost so may have had its effect, once.

Proven to bite by ``test_checker.py`` (bad histories written by hand) and ``test_mutants.py`` (bad programs).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

from tests.chaos.history import Operation

Kind = Literal["lost", "twice", "inverted", "unexplained"]
Thing = TypeVar("Thing", bound=Hashable)
KINDS: tuple[Kind, ...] = ("lost", "twice", "inverted", "unexplained")


class Anomaly(NamedTuple):
    """One thing that must not be."""

    kind: Kind
    where: str
    what: str


class Fact(NamedTuple):
    """One event where it stands. ``id`` tells two events of the same version apart; empty where it is not kept."""

    aggregate: str
    version: int
    id: str = ""


class Applied(NamedTuple):
    """An effect of a reaction, in the order of its commit."""

    aggregate: str
    version: int
    generation: int
    partition: int
    offset: int
    id: str = ""


class Restored(NamedTuple):
    """The clerk's database became what it was: seconds of the run, and the events that were in it only before."""

    backup_at: float
    restored_at: float
    facts: frozenset[str]


class Move(NamedTuple):
    """A change of a stored offset, in the order of its commit; ``before`` is ``None`` for a new row."""

    consumer: str
    topic: str
    partition: int
    log: str
    before: int | None
    after: int


@dataclass(slots=True)
class Evidence:
    """Everything a run left behind. Sequences are in the order in which things were done or stand."""

    operations: Sequence[Operation] = ()
    marks: Sequence[tuple[str, int, str]] = ()
    """(paper, version, mark)"""
    papers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """paper → (total, version)"""
    reminders: Sequence[str] = ()
    clerk_log: Sequence[Fact] = ()
    clerk_topic: Sequence[Fact] = ()
    copies: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    effects: Sequence[Applied] = ()
    archive_log: Sequence[Fact] = ()
    archive_topic: Sequence[Fact] = ()
    filings: Sequence[Applied] = ()
    moves: Sequence[Move] = ()
    restores: Sequence[Restored] = ()
    leftovers: Sequence[str] = ()
    """Dead letters, stops, timers, exits of processes: what a healthy run ends without."""


def check(it: Evidence) -> list[Anomaly]:
    """Every anomaly; none: the run kept all promises."""
    return [
        *_commands(it),
        *_reminders(it.operations, it.marks, it.reminders),
        *_papers(it.marks, it.papers),
        *_log(it),
        *_on_topic("clerk.events", it.clerk_log, it.clerk_topic),
        *_same_state("copies", it.papers, it.copies),
        *_took_effect("effects", it.clerk_log, it.effects, it.restores),
        *_filed(it.effects, it.archive_log),
        *_on_topic("archive.events", it.archive_log, it.archive_topic),
        *_took_effect("filings", it.archive_log, it.filings, ()),
        *_offsets(it.moves),
        *(Anomaly("unexplained", "leftover", text) for text in it.leftovers),
    ]


def upper_bound(events: int) -> float:
    """The 95 % upper bound of the rate of a fault that was never seen in so many events (rule of three)."""
    return 3 / events if events else 1.0


def _commands(it: Evidence) -> Iterable[Anomaly]:
    made: dict[str, dict[str, list[int]]] = {}
    for paper, version, mark in it.marks:
        made.setdefault(mark, {}).setdefault(paper, []).append(version)
    for each in it.operations:
        if each.id in made or not _lost_by_definition(each, it.restores):
            yield from _command(each, made.get(each.id, {}))
    for mark in made.keys() - {each.id for each in it.operations}:
        yield Anomaly("unexplained", "state", f"nobody asked for {mark}")


def _lost_by_definition(it: Operation, restores: Sequence[Restored]) -> bool:
    """Whether a command was answered between a backup and the restore from it."""
    return it.until is not None and any(each.backup_at <= it.until <= each.restored_at for each in restores)


def _command(it: Operation, made: Mapping[str, Sequence[int]]) -> Iterable[Anomaly]:
    """``made``: the versions that the command made of each paper."""
    for paper, versions in made.items():
        if len(versions) > 1:
            yield Anomaly("twice", "state", f"{it.id} marked {paper} as versions {versions}")
    if made and set(made) != set(it.papers):
        yield Anomaly("unexplained", "state", f"{it.id} took half effect: {sorted(made)} of {it.papers}")
    if it.outcome == "fail" and made:
        yield Anomaly("unexplained", "state", f"{it.id} was refused and took effect: {made}")
    if it.outcome != "ok":
        return
    for paper in it.papers:
        if paper not in made:
            yield Anomaly("lost", "state", f"{it.id} was acknowledged, {paper} does not bear it")
        elif it.versions.get(paper) not in made[paper]:
            answer = it.versions.get(paper)
            yield Anomaly("unexplained", "state", f"{it.id} was told {paper}@{answer}, made {made[paper]}")


def _reminders(
    operations: Sequence[Operation], marks: Sequence[tuple[str, int, str]], reminders: Sequence[str]
) -> Iterable[Anomaly]:
    made = {mark for _, _, mark in marks}
    wanted = Counter(each.id for each in operations if each.remind and each.id in made)
    yield from _compare("timers", wanted, Counter(reminders))


def _papers(marks: Sequence[tuple[str, int, str]], papers: Mapping[str, tuple[int, int]]) -> Iterable[Anomaly]:
    count = Counter(paper for paper, _, _ in marks)
    yield from _same_state("papers", {paper: (many, many) for paper, many in count.items()}, papers)


def _log(it: Evidence) -> Iterable[Anomaly]:
    wanted = Counter((f"paper/{paper}", version) for paper, version, _ in it.marks)
    wanted.update((f"reminder/{mark}", 1) for mark in it.reminders)
    yield from _compare("clerk's log", wanted, Counter((fact.aggregate, fact.version) for fact in it.clerk_log))
    yield from _dense("clerk's log", it.clerk_log)


def _filed(effects: Sequence[Applied], log: Sequence[Fact]) -> Iterable[Anomaly]:
    wanted = Counter((f"filing/{it.id}", 1) for it in effects)
    yield from _compare("archive's log", wanted, Counter((fact.aggregate, fact.version) for fact in log))


def _dense(where: str, facts: Sequence[Fact]) -> Iterable[Anomaly]:
    """In a log the versions of an aggregate are 1, 2, 3 … by position."""
    newest: dict[str, int] = {}
    for fact in facts:
        if fact.version <= newest.get(fact.aggregate, 0):
            yield Anomaly("inverted", where, f"{fact.aggregate}@{fact.version} after @{newest[fact.aggregate]}")
        newest[fact.aggregate] = max(fact.version, newest.get(fact.aggregate, 0))


def _on_topic(topic: str, log: Sequence[Fact], records: Sequence[Fact]) -> Iterable[Anomaly]:
    """Repeats are allowed; the first of each must be there, and they must be in order."""
    first = list(dict.fromkeys(records))
    yield from _compare(topic, Counter(log), Counter(first))
    yield from _dense(topic, first)


def _took_effect(
    where: str, log: Sequence[Fact], effects: Sequence[Applied], restores: Sequence[Restored]
) -> Iterable[Anomaly]:
    facts = [Fact(it.aggregate, it.version, it.id) for it in effects]
    lost = frozenset(id_ for each in restores for id_ in each.facts)
    stay = [fact for fact in facts if fact.id not in lost]
    yield from _compare(where, Counter(log), Counter(stay))
    yield from _dense(where, stay)
    for each in restores:
        gone = [fact for fact in facts if fact.id in each.facts]
        yield from _compare(where, Counter(set(gone)), Counter(gone))
        yield from _dense(where, gone)
    yield from _late(where, facts, lost)
    places = Counter((it.generation, it.partition, it.offset) for it in effects)
    for place, many in places.items():
        if many > 1:
            yield Anomaly("twice", where, f"generation, partition, offset {place} was applied {many} times")


def _late(where: str, facts: Sequence[Fact], lost: frozenset[str]) -> Iterable[Anomaly]:
    """A fact that was lost has no effect after the one that bears its version now."""
    decided: set[tuple[str, int]] = set()
    for fact in facts:
        if fact.id not in lost:
            decided.add((fact.aggregate, fact.version))
        elif (fact.aggregate, fact.version) in decided:
            yield Anomaly("inverted", where, f"{_text(fact)} was lost and came after the one in its place")


def _same_state(
    where: str, wanted: Mapping[str, tuple[int, int]], found: Mapping[str, tuple[int, int]]
) -> Iterable[Anomaly]:
    for key in wanted.keys() | found.keys():
        if key not in found:
            yield Anomaly("lost", where, f"{key} is missing")
        elif key not in wanted:
            yield Anomaly("unexplained", where, f"{key} stands there, and nowhere before")
        elif found[key] != wanted[key]:
            kind: Kind = "lost" if found[key] < wanted[key] else "twice"
            yield Anomaly(kind, where, f"{key} is {found[key]} instead of {wanted[key]} (total, version)")


def _compare(where: str, wanted: Counter[Thing], found: Counter[Thing]) -> Iterable[Anomaly]:
    """Both must hold the same things equally often."""
    for thing, many in (wanted - found).items():
        yield Anomaly("lost", where, f"{_text(thing)} is missing{_times(many)}")
    for thing, many in (found - wanted).items():
        if thing in wanted:
            yield Anomaly("twice", where, f"{_text(thing)} is there again{_times(many)}")
        else:
            yield Anomaly("unexplained", where, f"{_text(thing)} is there, and nowhere before{_times(many)}")


def _text(thing: Hashable) -> str:
    return "@".join(str(part) for part in thing if part != "") if isinstance(thing, tuple) else str(thing)


def _times(many: int) -> str:
    return f" ({many} times)" if many > 1 else ""


def _offsets(moves: Sequence[Move]) -> Iterable[Anomaly]:
    """Per consumer, partition and life of the topic: each move begins where the last one ended, and goes forward."""
    stands: dict[tuple[str, str, int, str], int] = {}
    for move in moves:
        place = (move.consumer, move.topic, move.partition, move.log)
        name = f"{move.consumer} {move.topic}-{move.partition} ({move.log})"
        last = stands.get(place)
        if last is not None and move.before is not None and move.before != last:
            yield Anomaly("twice", "offsets", f"{name} went on from {move.before}, but stood at {last}")
        if move.before is not None and move.after < move.before and last is not None:
            yield Anomaly("inverted", "offsets", f"{name} went back from {move.before} to {move.after}")
        stands[place] = move.after

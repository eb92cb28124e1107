"""The checker bites: one good history written by hand, and every bad one that differs from it by one thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import Applied, Evidence, Fact, Move, Restored, check, upper_bound
from tests.chaos.history import Operation, operations

CLERK = [Fact("paper/p1", 1, "a"), Fact("paper/p1", 2, "b"), Fact("paper/p2", 1, "c"), Fact("reminder/c2", 1, "d")]
ARCHIVE = [Fact(f"filing/{it.id}", 1, f"f{it.id}") for it in CLERK]


def applied(facts: list[Fact], generation: int = 1) -> list[Applied]:
    return [Applied(it.aggregate, it.version, generation, 3, place, it.id) for place, it in enumerate(facts)]


def good() -> Evidence:
    """Two commands, the second on two papers and with a reminder, gone round the whole circle."""
    return Evidence(
        operations=[
            Operation("c1", ("p1",), outcome="ok", versions={"p1": 1}),
            Operation("c2", ("p1", "p2"), remind=True, outcome="ok", versions={"p1": 2, "p2": 1}),
            Operation("c3", ("p2",), outcome="unknown"),
            Operation("c4", ("p2",), outcome="fail"),
        ],
        marks=[("p1", 1, "c1"), ("p1", 2, "c2"), ("p2", 1, "c2")],
        papers={"p1": (2, 2), "p2": (1, 1)},
        reminders=["c2"],
        clerk_log=list(CLERK),
        clerk_topic=[*CLERK, CLERK[0]],
        copies={"p1": (2, 2), "p2": (1, 1)},
        effects=applied(CLERK),
        archive_log=list(ARCHIVE),
        archive_topic=list(ARCHIVE),
        filings=applied(ARCHIVE),
        moves=[
            Move("archive", "clerk.events", 3, "k/1", None, 0),
            Move("archive", "clerk.events", 3, "k/1", 0, 4),
            Move("archive", "clerk.events", 3, "k/2", 4, 0),
            Move("archive", "clerk.events", 3, "k/2", 0, 4),
        ],
    )


def found(it: Evidence) -> set[tuple[str, str]]:
    return {(anomaly.kind, anomaly.where) for anomaly in check(it)}


def test_a_good_history_has_no_anomaly() -> None:
    assert check(good()) == []


def test_an_unknown_command_may_have_taken_effect() -> None:
    it = good()
    it.marks = [*it.marks, ("p3", 1, "c3")]
    it.operations = [*it.operations[:2], replace(it.operations[2], papers=("p3",)), it.operations[3]]
    assert ("unexplained", "state") not in found(it)


RESTORED = Restored(10.0, 20.0, frozenset({"x", "y"}))


def restored() -> Evidence:
    """c5 and c6 were acknowledged after the backup and had their effects; then c7 was given the version of c5."""
    it = good()
    anew = [Fact("paper/p1", 3, "n")]
    gone = [Fact("paper/p1", 3, "x"), Fact("paper/p1", 4, "y")]
    done = [*CLERK, *gone, *anew]
    filed = [*ARCHIVE, *(Fact(f"filing/{fact.id}", 1, f"f{fact.id}") for fact in [*gone, *anew])]
    it.operations = [
        *it.operations,
        Operation("c5", ("p1",), outcome="ok", versions={"p1": 3}, at=11.0, until=12.0),
        Operation("c6", ("p1",), outcome="ok", versions={"p1": 4}, at=9.0, until=13.0),
        Operation("c7", ("p1",), outcome="ok", versions={"p1": 3}, at=21.0, until=22.0),
    ]
    it.marks = [*it.marks, ("p1", 3, "c7")]
    it.papers = it.copies = {"p1": (3, 3), "p2": (1, 1)}
    it.clerk_log = it.clerk_topic = [*CLERK, *anew]
    it.effects, it.archive_log, it.archive_topic, it.filings = applied(done), filed, filed, applied(filed)
    it.restores = [RESTORED]
    return it


def test_what_was_decided_between_a_backup_and_its_restore_may_be_absent() -> None:
    assert check(restored()) == []


def test_without_the_restore_the_same_history_is_bad() -> None:
    it = restored()
    it.restores = []
    assert found(it) >= {("lost", "state"), ("unexplained", "effects"), ("inverted", "effects")}


def _drop(name: str, place: int) -> Callable[[Evidence], Any]:
    def change(it: Evidence) -> None:
        items = list(getattr(it, name))
        del items[place]
        setattr(it, name, items)

    return change


def _again(name: str, place: int) -> Callable[[Evidence], Any]:
    def change(it: Evidence) -> None:
        items = list(getattr(it, name))
        setattr(it, name, [*items, items[place]])

    return change


def _swap(name: str, first: int, second: int) -> Callable[[Evidence], Any]:
    def change(it: Evidence) -> None:
        items = list(getattr(it, name))
        items[first], items[second] = items[second], items[first]
        setattr(it, name, items)

    return change


def _set(name: str, value: object) -> Callable[[Evidence], Any]:
    return lambda it: setattr(it, name, value)


def _add(name: str, value: object) -> Callable[[Evidence], Any]:
    return lambda it: setattr(it, name, [*getattr(it, name), value])


BAD: dict[str, tuple[Callable[[Evidence], Any], str, str]] = {
    "an acknowledged command is not in the state": (_drop("marks", 0), "lost", "state"),
    "a repeated command took effect twice": (_add("marks", ("p1", 3, "c1")), "twice", "state"),
    "a command took half effect": (_drop("marks", 2), "unexplained", "state"),
    "a refused command took effect": (_add("marks", ("p2", 2, "c4")), "unexplained", "state"),
    "an answer names another version": (
        _add("operations", Operation("c1", ("p1",), outcome="ok", versions={"p1": 9})),
        "unexplained",
        "state",
    ),
    "a mark that nobody asked for": (_add("marks", ("p1", 3, "ghost")), "unexplained", "state"),
    "a timer did not take effect": (_set("reminders", []), "lost", "timers"),
    "a timer took effect twice": (_again("reminders", 0), "twice", "timers"),
    "a paper's total is wrong": (_set("papers", {"p1": (3, 2), "p2": (1, 1)}), "twice", "papers"),
    "an event is not in the log": (_drop("clerk_log", 1), "lost", "clerk's log"),
    "an event stands twice in the log": (_again("clerk_log", 3), "twice", "clerk's log"),
    "versions are inverted in the log": (_swap("clerk_log", 0, 1), "inverted", "clerk's log"),
    "an event never reached the topic": (_set("clerk_topic", CLERK[1:]), "lost", "clerk.events"),
    "the topic is inverted": (_swap("clerk_topic", 0, 1), "inverted", "clerk.events"),
    "the topic holds an event of another log": (
        _add("clerk_topic", Fact("paper/p1", 2, "other")),
        "unexplained",
        "clerk.events",
    ),
    "the projection lacks a paper": (_set("copies", {"p1": (2, 2)}), "lost", "copies"),
    "the projection is behind": (_set("copies", {"p1": (1, 1), "p2": (1, 1)}), "lost", "copies"),
    "the projection counted twice": (_set("copies", {"p1": (3, 2), "p2": (1, 1)}), "twice", "copies"),
    "the projection holds what never was": (
        _set("copies", {"p1": (2, 2), "p2": (1, 1), "p9": (1, 1)}),
        "unexplained",
        "copies",
    ),
    "a reaction did not take effect": (_drop("effects", 0), "lost", "effects"),
    "a reaction took effect twice": (_add("effects", Applied("paper/p1", 2, 1, 3, 9, "b")), "twice", "effects"),
    "effects are inverted": (_swap("effects", 0, 1), "inverted", "effects"),
    "one offset was applied twice": (_add("effects", Applied("paper/p9", 1, 1, 3, 0)), "twice", "effects"),
    "an effect without its event": (_drop("archive_log", 0), "lost", "archive's log"),
    "the second relay lost one": (_drop("archive_topic", 2), "lost", "archive.events"),
    "the circle did not close": (_drop("filings", 2), "lost", "filings"),
    "an offset went back": (_add("moves", Move("archive", "clerk.events", 3, "k/2", 4, 2)), "inverted", "offsets"),
    "two moved the offset from one place": (
        _add("moves", Move("archive", "clerk.events", 3, "k/2", 0, 4)),
        "twice",
        "offsets",
    ),
    "a dead letter is left": (_set("leftovers", ["a letter"]), "unexplained", "leftover"),
}


def _answered(id_: str, until: float) -> Callable[[Evidence], Any]:
    def change(it: Evidence) -> None:
        it.operations = [replace(each, until=until) if each.id == id_ else each for each in it.operations]

    return change


BAD_AFTER_A_RESTORE: dict[str, tuple[Callable[[Evidence], Any], str, str]] = {
    "acknowledged before the backup": (_answered("c5", 9.9), "lost", "state"),
    "acknowledged after the restore": (_answered("c5", 20.1), "lost", "state"),
    "decided anew and gone": (_drop("marks", 3), "lost", "state"),
    "half of a lost command is left": (
        _add("operations", Operation("c7", ("p1", "p2"), outcome="ok", versions={"p1": 3, "p2": 2}, until=15.0)),
        "unexplained",
        "state",
    ),
    "a lost fact is still on the topic": (_add("clerk_topic", Fact("paper/p1", 4, "y")), "unexplained", "clerk.events"),
    "a lost fact took effect twice": (_add("effects", Applied("paper/p1", 4, 2, 3, 9, "y")), "twice", "effects"),
    "a fact that is not lost took effect twice": (
        _add("effects", Applied("paper/p1", 3, 2, 3, 9, "n")),
        "twice",
        "effects",
    ),
    "what was decided anew was taken for a repeat": (_drop("effects", 6), "lost", "effects"),
    "lost facts took effect out of order": (_swap("effects", 4, 5), "inverted", "effects"),
    "a lost fact took effect after the one in its place": (_swap("effects", 4, 6), "inverted", "effects"),
    "the projection still holds what was lost": (_set("copies", {"p1": (4, 4), "p2": (1, 1)}), "twice", "copies"),
}


@pytest.mark.parametrize("name", BAD_AFTER_A_RESTORE)
def test_a_restore_excuses_nothing_else(name: str) -> None:
    change, kind, where = BAD_AFTER_A_RESTORE[name]
    it = restored()
    change(it)
    assert (kind, where) in found(it)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_seen(name: str) -> None:
    change, kind, where = BAD[name]
    it = good()
    change(it)
    assert (kind, where) in found(it)


def test_the_last_word_on_an_operation_counts() -> None:
    lines = [
        {"at": 1.0, "op": "c1", "event": "invoke", "papers": ["p1"], "remind": True},
        {"at": 2.0, "op": "c1", "event": "unknown", "why": "ReadTimeout"},
        {"at": 3.0, "op": "c1", "event": "ok", "versions": {"p1": 4}},
        {"at": 3.5, "op": "c2", "event": "invoke", "papers": ["p2"], "remind": False},
    ]
    first, second = operations(json.dumps(line) for line in lines)
    assert (first.outcome, first.versions, first.attempts, first.remind) == ("ok", {"p1": 4}, 2, True)
    assert (second.outcome, second.attempts) == ("unknown", 0)


def test_what_was_never_seen_may_still_be_there() -> None:
    assert upper_bound(300) == 0.01
    assert upper_bound(0) == 1.0

"""What must be true of every schedule: at each commit, and when everything has come to rest.

| invariant | looked at |
| --- | --- |
| an acknowledged command stays; every committed event is on its topic, in version order per aggregate | at rest |
| nothing is on the topic that was not committed | at rest |
| each event takes effect once, by id and by its place in a log, in order, none left out | each commit |
| stored offsets never go back within one life of a topic | each commit |
| nothing of a key takes effect before an open letter of an earlier offset | each commit |
| a consumer that started after the stop applies nothing while it stands | each commit |
| a timer runs once, when it is due, and not after it was cancelled | each commit |
| the only dead letters are of events that were made to fail | at rest |
| the newest of each state is copied, and is what its topic says to whoever begins to read | at rest |
| holes of a compacted topic stop nobody | each commit |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.integration.messaging.facts import OwnerStateV1
from tests.simulation.postgres import Commit
from tests.simulation.world import STATES, TOPIC, World

OPERATOR = "operator"
"""Name of the process whose writes to offsets are an operator's."""


class BrokenError(Exception):
    """An invariant does not hold."""


@dataclass
class Applied:
    """What the sink has applied; goes back with its database."""

    events: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    places: set[tuple[str, int, int, int]] = field(default_factory=set)

    def copy(self) -> Applied:
        return Applied(dict(self.events), dict(self.newest), set(self.places))


@dataclass
class Judge:
    """Watches the commits of both databases."""

    world: World
    acknowledged: set[UUID] = field(default_factory=set)
    discarded: set[UUID] = field(default_factory=set)
    applied: Applied = field(default_factory=Applied)
    broken: list[str] = field(default_factory=list)
    doomed: set[str] = field(default_factory=set)
    """Codes of dead letters that this schedule brings about on purpose."""
    lost: set[UUID] = field(default_factory=set)
    """Events that a restored database forgot after they may have been published."""
    stops_are_due: bool = True
    """Whether this schedule does to logs what only an operator mends."""
    discarding: dict[UUID, UUID] = field(default_factory=dict)
    """Letters that an operator is about to discard, and their events."""
    _history: dict[str, datetime | None] = field(default_factory=dict)
    _stopped_at: float | None = None

    def attach(self) -> None:
        """Begin to watch."""
        self.world.source.watchers.append(self.source_commits)
        self.world.sink.watchers.append(self.sink_commits)

    def complain(self, what: str) -> None:
        """Note what is broken."""
        self.world.tell(f"BROKEN: {what}")
        self.broken.append(what)

    # commits

    def source_commits(self, commit: Commit) -> None:
        for it in commit.events:
            self.world.tell(f"{commit.process} commits {it['aggregate']} v{it['version']} at {it['position']}")
        notes = commit.writes.get("notes")
        for note in (notes or {}).values():
            if note is not None:
                self._timer(note["aggregate"], note["what"], commit.process)

    def _timer(self, aggregate: str, what: str, process: str) -> None:
        self.world.tell(f"{process} commits timer {aggregate}: {what}")
        due = self._history.get(aggregate)
        if what == "fired":
            if due is None:
                self.complain(f"the timer of {aggregate} ran though none was set")
            elif due > max(self.world.civil_now(), self.world.civil_before):
                self.complain(f"the timer of {aggregate} ran before it was due")
            self._history[aggregate] = None
        elif what == "cancelled":
            self._history[aggregate] = None
        else:
            self._history[aggregate] = datetime.fromisoformat(what)

    def sink_commits(self, commit: Commit) -> None:
        writes = commit.writes
        effects = writes.get("effects")
        if "offsets" in writes:
            self._offsets(commit, writes["offsets"])
        if effects:
            self._effects(commit, effects)
        for letter in writes.get("dead_letters", {}).values():
            if letter is not None and letter["outcome"] == "discarded" and letter["id"] in self.discarding:
                self.discarded.add(self.discarding.pop(letter["id"]))
        if "stops" in writes:
            self._stops(writes["stops"])

    def _offsets(self, commit: Commit, written: dict[Any, Any]) -> None:
        stored = self.world.sink.tables.get("offsets", {})
        for key, new in written.items():
            old = stored.get(key)
            self.world.tell(f"{commit.process} commits offset {key[1]}-{key[2]}: {new['next']}")
            if old is None or commit.process == OPERATOR:
                continue
            if (old["cluster_id"], old["generation"]) != (new["cluster_id"], new["generation"]):
                self.complain(f"{commit.process} changed the log of {key[1]}-{key[2]}")
            elif new["next"] < old["next"]:
                self.complain(f"the offset of {key[1]}-{key[2]} went back from {old['next']} to {new['next']}")

    def _effects(self, commit: Commit, written: dict[Any, Any]) -> None:
        if self._stopped_at is not None and commit.process_began_at > self._stopped_at:
            self.complain(f"{commit.process} applies events though the consumer was stopped before it started")
        offsets = commit.writes.get("offsets", {})
        applied = self.applied
        for effect in written.values():
            if effect is None:
                continue
            thing, version, event = effect["thing"], effect["version"], effect["event"]
            self.world.tell(
                f"{commit.process} applies {thing} v{version} from {effect['partition']}-{effect['offset']}"
            )
            if event in applied.events:
                self.complain(f"{thing} v{version} took effect twice")
            newest = applied.newest.get(thing, 0)
            if version <= newest:
                self.complain(f"{thing} v{version} took effect after v{newest}")
            elif missing := self._missing(thing, newest, version):
                self.complain(f"{thing} v{version} took effect without {missing}")
            row = offsets.get(("sink", TOPIC, effect["partition"]))
            if row is None:
                self.complain(f"{thing} v{version} took effect without its offset")
            else:
                place = (row["cluster_id"], row["generation"], effect["partition"], effect["offset"])
                if place in applied.places:
                    self.complain(f"the record at {place} was applied twice")
                applied.places.add(place)
            self._held(commit, effect)
            applied.events[event] = (thing, version)
            applied.newest[thing] = max(newest, version)

    def _missing(self, thing: str, newest: int, version: int) -> list[int]:
        skipped = {
            it["version"]
            for it in self.world.source.log
            if it["aggregate"] == f"thing/{thing}" and it["event_id"] in self.discarded
        }
        return [it for it in range(newest + 1, version) if it not in skipped]

    def _held(self, commit: Commit, effect: dict[str, Any]) -> None:
        letters = {**self.world.sink.tables.get("dead_letters", {}), **commit.writes.get("dead_letters", {})}
        for letter in letters.values():
            if (
                letter is not None
                and letter["closed_at"] is None
                and letter["holds"]
                and letter["aggregate"] == f"thing/{effect['thing']}"
                and letter["offset"] < effect["offset"]
            ):
                self.complain(f"{effect['thing']} v{effect['version']} did not wait for the letter {letter['offset']}")

    def _stops(self, written: dict[Any, Any]) -> None:
        for (_, topic, _), stop in written.items():
            self.world.tell(f"stop {topic or 'of all'}: {'cleared' if stop is None else stop['reason']}")
            if stop is not None and not self.stops_are_due and "republish" in stop["command"]:
                self.complain(f"a stop nobody made: {stop['reason']}")
            if topic == "":
                by_hand = stop is not None and "republish" not in stop["command"]
                self._stopped_at = self.world.loop.now if by_hand else None

    # at rest

    def waiting_for(self) -> str | None:
        """What is still to come, in words; nothing: everything is at rest."""
        return next(self._waits(), None)

    def _waits(self) -> Iterator[str]:
        world = self.world
        published = {event for event, _, _ in self._on_topic()}
        for it in (it for it in world.source.log if it["topic"] == TOPIC):
            if it["event_id"] not in self.applied.events and it["event_id"] not in self.discarded:
                yield f"{it['aggregate']} v{it['version']} to take effect"
            if it["event_id"] not in published:
                yield f"{it['aggregate']} v{it['version']} to be published"
        yield from self._copies()
        for aggregate, due in self._history.items():
            if due is not None and due <= world.civil_now():
                yield f"the timer of {aggregate} to run"
        if any(it["closed_at"] is None for it in world.sink.tables.get("dead_letters", {}).values()):
            yield "a letter to be closed"
        if any(it["open_letters"] for it in world.sink.tables.get("offsets", {}).values()):
            yield "the count of open letters to be 0"
        if world.sink.tables.get("stops"):
            yield "a stop to be cleared"

    def _copies(self) -> Iterator[str]:
        copies = self.world.sink.tables.get("owner_copies", {})
        for owner, it in self.world.source.tables.get("owners", {}).items():
            copy = copies.get(owner, {"name": None, "version": 0})
            if (copy["name"], copy["version"]) != (it["name"], it["version"]):
                yield f"owner {owner} v{it['version']} to be copied; v{copy['version']} is"

    def _on_topic(self) -> Iterator[tuple[UUID, str, int]]:
        """What was published, in order per partition: event, aggregate, version."""
        for partition in self.world.broker.topics.get(TOPIC, ()):
            for record in [*partition.deleted, *partition.records]:
                headers = dict(record.headers)
                event = UUID((headers["ce_id"] or b"").decode())
                yield event, (headers["ce_subject"] or b"").decode(), int(headers["ce_sequence"] or 0)

    def at_rest(self) -> None:
        """Look at everything once more."""
        log = {it["event_id"]: it for it in self.world.source.log}
        if gone := self.acknowledged - log.keys() - self.lost:
            self.complain(f"acknowledged, and gone: {sorted(gone)}")
        newest: dict[str, int] = {}
        published: set[UUID] = set()
        for event, thing, version in self._on_topic():
            if event not in log and event not in self.lost:
                self.complain(f"published, and not committed: {thing} v{version}")
            if event not in published and version != newest.get(thing, 0) + 1:
                self.complain(f"{thing} v{version} was published after v{newest.get(thing, 0)}")
            newest[thing] = max(version, newest.get(thing, 0))
            published.add(event)
        self._states_at_rest()
        for letter in self.world.sink.tables.get("dead_letters", {}).values():
            if letter["code"] not in self.doomed:
                self.complain(f"a dead letter nobody made: {letter['code']}: {letter['error']}")

    def _states_at_rest(self) -> None:
        """Whoever begins to read now gets the present states, and of erased ones nothing."""
        found: dict[str, str | None] = {}
        for log in self.world.broker.topics.get(STATES, ()):
            for record in log.records:
                owner = (record.key or b"").decode().rpartition("/")[2]
                found[owner] = None if record.value is None else OwnerStateV1.read(record.value).name
        for owner, it in self.world.source.tables.get("owners", {}).items():
            if found.get(owner) != it["name"]:
                self.complain(f"the topic says that owner {owner} is {found.get(owner)}, and it is {it['name']}")

"""One run: load, faults by a seed, rest, evidence, verdict."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.clocks import machine_now, monotonic
from tests.chaos.checker import KINDS, Anomaly, Evidence, check, upper_bound
from tests.chaos.evidence import behind, collect, leftovers
from tests.chaos.faults import FAILPOINTS, FAULTS, STEP_CLOCK, NotReachedError, die_at, freeze_at
from tests.chaos.ground import SERVICES, Ground
from tests.chaos.history import History, operations
from tests.chaos.load import Load
from tests.chaos.restores import NEED_AN_OPERATOR

REST_SECONDS = 150.0
"""How long the installation may take to come to rest after the last fault."""

Say = Callable[[str], None]


@dataclass(slots=True)
class Summary:
    """What a run came to."""

    seed: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    not_reached: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    unknown: int = 0
    repeated: int = 0
    events: int = 0
    records: int = 0
    effects: int = 0
    rest_seconds: float = 0.0
    anomalies: list[Anomaly] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Anomalies by kind."""
        found = Counter(it.kind for it in self.anomalies)
        return {kind: found[kind] for kind in KINDS}

    @property
    def good(self) -> bool:
        return not self.anomalies

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "summary",
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "faults": dict(self.faults),
            "not_reached": dict(self.not_reached),
            "places": dict(self.places),
            "acknowledged": self.acknowledged,
            "unknown": self.unknown,
            "repeated": self.repeated,
            "events": self.events,
            "records": self.records,
            "effects": self.effects,
            "rest_seconds": round(self.rest_seconds, 1),
            "anomalies": self.counts,
            "upper_bound_per_event": upper_bound(self.events),
            "upper_bound_per_fault": upper_bound(sum(self.faults.values())),
        }


@dataclass
class Nemesis:
    """Faults on a ground, one after the other, in an order that the seed gives."""

    ground: Ground
    seed: int
    names: Sequence[str]
    results: Path
    say: Say
    summary: Summary = field(init=False)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.summary = Summary(self.seed, 0.0)

    def note(self, **what: Any) -> None:
        """One line of the results."""
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": round(self.ground.seconds(), 2), "seed": self.seed, **what}) + "\n")

    async def run(self, seconds: float | None, load: Load, *, gap: tuple[float, float] = (0.5, 3.0)) -> None:
        """Do faults for so long; ``None``: each once. Each kind comes once before any comes a second time."""
        chance = random.Random(self.seed)  # noqa: S311  a plan, no secret
        deadline = None if seconds is None else monotonic() + seconds
        waiting = self._shuffled(chance)
        while deadline is None or monotonic() < deadline:
            if not waiting and deadline is None:
                return
            waiting = waiting or self._shuffled(chance)
            name = waiting.pop()
            await self.once(name, random.Random(chance.random()))  # noqa: S311  as above
            total = sum(self.summary.faults.values())
            self.say(f"{self.ground.seconds():7.1f} s  {total} faults, {load.acknowledged} acknowledged")
            await asyncio.sleep(chance.uniform(*gap))  # paced: between two faults

    def _shuffled(self, chance: random.Random) -> list[str]:
        names = list(self.names)
        chance.shuffle(names)
        return names

    async def _do(self, name: str, chance: random.Random) -> str:
        how, _, place = name.partition(":")
        if place:
            return await (die_at if how == "die" else freeze_at)(self.ground, chance, place)
        return await FAULTS[name].run(self.ground, chance)

    async def once(self, name: str, chance: random.Random) -> None:
        """One fault, noted with what it did."""
        began = self.ground.seconds()
        try:
            detail = await self._do(name, chance)
        except NotReachedError as missed:
            self.summary.not_reached[name] += 1
            self.note(kind="not reached", fault=name, began=round(began, 2), detail=str(missed))
        except Exception as error:  # noqa: BLE001  a fault that breaks must not hide what the others show
            self.broken.append(f"the fault {name} itself failed: {error!r}")
            self.note(kind="broken", fault=name, began=round(began, 2), detail=traceback.format_exc())
            self.say(f"{began:7.1f} s  {name} failed: {error!r}")
        else:
            self.summary.faults[name] += 1
            self.note(kind="fault", fault=name, began=round(began, 2), detail=detail)
            self.say(f"{began:7.1f} s  {name}: {detail}")


async def heal(ground: Ground) -> None:
    """Nothing is broken any more: proxies open, servers up, every member running."""
    for proxy in (ground.to_postgres, ground.to_kafka):
        proxy.set("open")
    for server in (ground.postgres, ground.kafka):
        if server.process is None or server.process.poll() is not None:
            await asyncio.to_thread(server.start)
    for member in ground.members:
        member.signal(signal.SIGCONT)
        if member.pid is None or member.pid in ground.warm.codes:
            await ground.start_member(member)


async def come_to_rest(ground: Ground, seconds: float = REST_SECONDS) -> str:
    """Wait until nothing is on its way; gives what still is, empty if nothing."""
    deadline = monotonic() + seconds
    for service in SERVICES:  # whatever the steps of the clock were: what was to fall due does
        connection = await ground.administrator(service)
        try:
            await connection.execute(STEP_CLOCK, 24 * 400)
        finally:
            await connection.close()
    late = "nobody looked"
    while monotonic() < deadline:
        late = await behind(ground)
        if not late:
            return ""
        await asyncio.sleep(0.3)  # paced: looks at a system that comes to rest
    return late


async def judge(ground: Ground, load: Load, history: History, more: Sequence[str]) -> tuple[Evidence, list[Anomaly]]:
    """Collect the evidence and check it."""
    history.close()
    done = operations(history.path.read_text(encoding="utf-8").splitlines())
    evidence = await collect(ground, done, [*load.surprises, *more])
    return evidence, check(evidence)


async def chaos(
    ground: Ground,
    *,
    seed: int,
    seconds: float | None,
    names: Sequence[str],
    results: Path,
    say: Say = lambda _: None,
    gap: tuple[float, float] = (0.5, 3.0),
    clients: int = 8,
    rest: float = REST_SECONDS,
) -> Summary:
    """One whole run on a ground that was just made."""
    history = History(ground.folder / "history.jsonl")
    load = Load(ground, history, seed, clients=clients)
    nemesis = Nemesis(ground, seed, names, results, say)
    nemesis.note(kind="begin", started_at=machine_now().isoformat(), faults=list(names), seconds=seconds)
    load.start()
    await nemesis.run(seconds, load, gap=gap)
    await heal(ground)
    await load.stop()
    at_rest = monotonic()
    late = await come_to_rest(ground, rest)
    summary = nemesis.summary
    summary.rest_seconds = monotonic() - at_rest
    evidence, summary.anomalies = await judge(ground, load, history, nemesis.broken + ([late] if late else []))
    summary.seconds = ground.seconds()
    summary.places = ground.hit
    summary.acknowledged, summary.unknown = load.acknowledged, load.unknown
    summary.repeated = sum(each.attempts - 1 for each in evidence.operations if each.attempts > 1)
    summary.events = len(evidence.clerk_log) + len(evidence.archive_log)
    summary.records = len(evidence.clerk_topic) + len(evidence.archive_topic)
    summary.effects = len(evidence.effects) + len(evidence.filings)
    for anomaly in summary.anomalies:
        nemesis.note(kind="anomaly", what=list(anomaly))
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps(summary.as_json()) + "\n")
    return summary


def table(summary: Summary, *, shown: int = 20) -> str:
    """The summary for a reader."""
    lines = [f"seed {summary.seed}, {summary.seconds:.0f} s, {summary.acknowledged} commands acknowledged, "]
    lines[0] += f"{summary.repeated} repeats, {summary.unknown} of unknown end"
    lines.append(
        f"{summary.events} events, {summary.records} records on topics, {summary.effects} effects; "
        f"at rest {summary.rest_seconds:.1f} s after the load ended"
    )
    lines += [f"  {name:<18} {many:>5}" for name, many in sorted(summary.faults.items())]
    lines += [f"  {name:<18} {many:>5} not reached" for name, many in sorted(summary.not_reached.items())]
    total = sum(summary.faults.values())
    lines.append(f"  {'faults':<18} {total:>5}")
    missed = [place for place in FAILPOINTS if not summary.places[place]]
    lines.append(f"named places: {len(FAILPOINTS) - len(missed)} of {len(FAILPOINTS)}, not: {', '.join(missed) or '-'}")
    lines.append("  ".join(f"{kind} {many}" for kind, many in summary.counts.items()))
    lines.append(
        f"95 % upper bound of an unseen fault's rate: {upper_bound(summary.events):.2g} per event, "
        f"{upper_bound(total):.2g} per injected fault"
    )
    lines += [f"  {kind} in {where}: {what}" for kind, where, what in summary.anomalies[:shown]]
    if len(summary.anomalies) > shown:
        lines.append(f"  … and {len(summary.anomalies) - shown} more in the results")
    return "\n".join(lines)


def progress(line: str) -> None:
    """One line that replaces the one before where a person looks on."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
    else:
        sys.stderr.write(f"{line}\n")
    with contextlib.suppress(OSError):
        sys.stderr.flush()


__all__ = ["FAULTS", "NEED_AN_OPERATOR", "Nemesis", "Summary", "chaos", "leftovers", "progress", "table"]

"""Measures ours and a reference in turn, and judges the ratio against its gate and its goal.

Machines differ and are noisy, so only ratios of runs side by side count. Each ratio has a warm-up pair, which is thrown
away, then interleaved pairs. The noise of the reference against itself (its largest run over its smallest) is printed
beside it: a ratio is not worth more digits than that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

BENCH_FILE = Path(__file__).parents[2] / "build" / "bench.jsonl"

Measure = Callable[[], Awaitable[float | Sequence[float]]]
"""One run; gives one figure for each ratio that is judged by it, for example rows a second."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """What is compared, and what it must (``gate``) and should (``goal``) reach; without them it is only shown.

    ``at_least`` for rates, else at most (times). ``of_medians``: the ratio of both sides' medians, where a pair alone
    says little (a run's p99); else the median of the pairs' ratios, because the two of a pair ran side by side.
    """

    id: str
    title: str
    unit: str
    gate: float | None = None
    goal: float | None = None
    at_least: bool = True
    of_medians: bool = False

    def reached(self, ratio: float, limit: float | None) -> bool:
        """Whether the ratio meets a limit."""
        return limit is None or (ratio >= limit if self.at_least else ratio <= limit)

    def wanted(self, limit: float) -> str:
        """A limit as text."""
        return f"{'≥' if self.at_least else '≤'} {limit:.2f}"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of ``build/bench.jsonl``; ``min`` and ``max``: of the pairs' ratios; ``noise``: the reference's own."""

    id: str
    title: str
    ratio: float
    ours: float
    reference: float
    unit: str
    runs: int
    min: float
    max: float
    noise: float
    gate: float | None
    goal: float | None
    gate_met: bool
    goal_met: bool


@dataclass(slots=True)
class Bench:
    """What was asked for, and what was found."""

    wanted: frozenset[str] = frozenset()
    """Ids; none: all."""
    rows: int = 200_000
    pairs: int = 5
    quick: bool = False
    """A short form, to see that everything works: its figures are worth little."""
    soak: float = 2.0
    """Minutes of P16."""
    results: list[Result] = field(default_factory=list)

    def wants(self, *ids: str) -> bool:
        """Whether any of these is to be measured."""
        return not self.wanted or not self.wanted.isdisjoint(ids)

    @property
    def passed(self) -> bool:
        """Whether every gate was met."""
        return all(result.gate_met for result in self.results)

    async def compare(
        self,
        ratios: Ratio | Sequence[Ratio],
        ours: Measure,
        reference: Measure,
        *,
        pairs: int | None = None,
        warm_up: bool = True,
    ) -> None:
        """Measure in turn; judge the ratios that are wanted."""
        judged = [ratios] if isinstance(ratios, Ratio) else list(ratios)
        for ratio in judged:
            say(f"{ratio.id}  {ratio.title}")
        if warm_up:
            await reference()
            await ours()
        mine: list[Sequence[float]] = []
        theirs: list[Sequence[float]] = []
        for number in range(pairs or self.pairs):
            # Turn about, so that neither always runs on the warmer machine.
            turns = [(reference, theirs), (ours, mine)] if number % 2 else [(ours, mine), (reference, theirs)]
            for measure, figures in turns:
                figures.append(_several(await measure()))
            for place, ratio in enumerate(judged):
                own, other = mine[-1][place], theirs[-1][place]
                say(f"      {ratio.id} pair {number + 1}: {_figure(own)} ÷ {_figure(other)} {ratio.unit}")
        for place, ratio in enumerate(judged):
            self.judge(ratio, [run[place] for run in mine], [run[place] for run in theirs])

    def judge(self, ratio: Ratio, ours: Sequence[float], reference: Sequence[float]) -> None:
        """Judge figures of runs, print, append to the file."""
        each = [own / other for own, other in zip(ours, reference, strict=True)]
        found = median(ours) / median(reference) if ratio.of_medians else median(each)
        result = Result(
            ratio.id, ratio.title, round(found, 3), round(median(ours), 3), round(median(reference), 3), ratio.unit,
            len(each), round(min(each), 3), round(max(each), 3), round(max(reference) / min(reference), 3),
            ratio.gate, ratio.goal, ratio.reached(found, ratio.gate), ratio.reached(found, ratio.goal),
        )  # fmt: skip
        self.results.append(result)
        say(f"      {ratio.id} {line(result, ratio)}; reference against itself {result.noise:.2f}")
        _append(asdict(result))

    def note(self, id_: str, title: str, **facts: float) -> None:
        """Print and write figures that are no ratio."""
        say(
            f"      {id_} {title}: " + ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in facts.items())
        )
        _append({"id": id_, "title": title, **facts})

    def tell(self) -> None:
        """Print all results once more, and which gates and goals are missed."""
        say("")
        for result in self.results:
            gate = "" if result.gate_met else "  GATE MISSED"
            goal = "" if result.goal_met else f"  goal {result.goal:g} not reached"
            say(f"{result.id:14} {result.ratio:8.2f} ({result.min:.2f}-{result.max:.2f})  {result.title}{gate}{goal}")


def _append(line: Mapping[str, object]) -> None:
    BENCH_FILE.parent.mkdir(exist_ok=True)
    with BENCH_FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def line(result: Result, ratio: Ratio) -> str:
    """A result in words."""
    words = [f"{result.ratio:.2f} ({result.min:.2f}-{result.max:.2f})"]
    if ratio.gate is not None:
        words.append(f"gate {ratio.wanted(ratio.gate)} {'met' if result.gate_met else 'MISSED'}")
    if ratio.goal is not None:
        words.append(f"goal {ratio.wanted(ratio.goal)} {'reached' if result.goal_met else 'not reached'}")
    return ", ".join(words)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def _several(figures: float | Sequence[float]) -> Sequence[float]:
    return figures if isinstance(figures, Sequence) else [figures]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"

"""Measures ours and a reference in turn, and judges the ratio of their medians against its gate.

Machines differ and are noisy, so only ratios of runs side by side count. Each ratio has a warm-up pair, which is thrown
away, then interleaved pairs. The noise of the reference against itself (its largest run over its smallest) is printed
beside it: a ratio is not worth more digits than that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

BENCH_FILE = Path(__file__).parents[2] / "build" / "bench.jsonl"

Measure = Callable[[], Awaitable[float]]
"""One run; gives the figure, for example rows a second."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a ratio must reach. ``at_least`` for rates, else at most (times)."""

    id: str
    title: str
    unit: str
    limit: float
    at_least: bool = True

    def passed(self, ratio: float) -> bool:
        """Whether the ratio meets the gate."""
        return ratio >= self.limit if self.at_least else ratio <= self.limit

    @property
    def wanted(self) -> str:
        """The gate as text."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:.2f}"


@dataclass(frozen=True, slots=True)
class Result:
    """One line of ``build/bench.jsonl``; ``min`` and ``max`` are of the ratios of the pairs."""

    id: str
    ratio: float
    ours: float
    reference: float
    unit: str
    runs: int
    min: float
    max: float


async def compare(gate: Gate, ours: Measure, reference: Measure, *, pairs: int) -> tuple[Result, bool]:
    """Measure in turn, print, append to the file; gives the result and whether it met its gate.

    The ratio is the median of the pairs: the two of a pair ran side by side, on the same machine in every sense.
    """
    say(f"{gate.id}  {gate.title}")
    await reference()
    await ours()
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(pairs):
        # Turn about, so that neither always runs on the warmer machine.
        for measure, figures in (
            ((reference, theirs), (ours, mine)) if number % 2 else ((ours, mine), (reference, theirs))
        ):
            figures.append(await measure())
        say(f"      pair {number + 1}: {_figure(mine[-1])} ÷ {_figure(theirs[-1])} {gate.unit}")
    each = [own / other for own, other in zip(mine, theirs, strict=True)]
    result = Result(
        gate.id, round(median(each), 3), round(median(mine), 3), round(median(theirs), 3), gate.unit,
        pairs, round(min(each), 3), round(max(each), 3),
    )  # fmt: skip
    passed = gate.passed(result.ratio)
    say(
        f"      {result.ratio:.2f} ({result.min:.2f}-{result.max:.2f}), gate {gate.wanted}: "
        f"{'met' if passed else 'MISSED'}; reference against itself {_noise(theirs):.2f}"
    )
    BENCH_FILE.parent.mkdir(exist_ok=True)
    with BENCH_FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")
    return result, passed


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _noise(figures: Sequence[float]) -> float:
    return max(figures) / min(figures)

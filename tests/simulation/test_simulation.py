"""10,000 schedules of the real relay, consumer, dead letters and timers: nothing lost, twice, inverted or silent."""

from __future__ import annotations

import pytest

from tests.simulation.failed_seeds import SEEDS
from tests.simulation.schedule import KINDS, run
from tests.simulation.world import replaced

SCHEDULES = 10_000
PARTS = 40
"""So many tests, for the workers of one run to share."""


def complaints(seeds: range | list[int]) -> list[str]:
    with replaced():
        outcomes = [run(seed) for seed in seeds]
    return [
        f"{it.problem} [make simulate ARGS='--trace {it.seed}': {it.kind}; {'; '.join(it.faults)}]"
        for it in outcomes
        if it.problem
    ]


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_breaks_a_promise(part: int) -> None:
    length = SCHEDULES // PARTS
    assert complaints(range(part * length, (part + 1) * length)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_failed_once_does_not_fail_again(seed: int) -> None:
    assert complaints([seed]) == []


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_a_seed_is_the_same_schedule_every_time(seed: int) -> None:
    with replaced():
        first, second = run(seed, traced=True), run(seed, traced=True)
    assert first.trace
    assert first == second

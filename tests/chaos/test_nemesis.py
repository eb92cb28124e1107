"""The short form of the nemesis: a fixed seed and the quick faults, on servers of its own. The long one: make chaos."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.ground import ground
from tests.chaos.nemesis import chaos, table

SEED = 4
QUICK = ("kill", "failpoint", "cut", "delay", "postgres", "rebalance", "clock")


@pytest.mark.timeout(300)
async def test_under_quick_faults_nothing_is_lost_repeated_inverted_or_unexplained(folder: Path) -> None:
    async with ground(folder) as it:
        results = folder / "chaos.jsonl"
        summary = await chaos(it, seed=SEED, seconds=None, names=QUICK, results=results, gap=(0.2, 1.0), clients=6)
    assert summary.good, table(summary)
    assert summary.acknowledged > 0
    assert sum(summary.faults.values()) + sum(summary.not_reached.values()) == len(QUICK)

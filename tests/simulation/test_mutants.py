"""Every known mistake is caught by the seeds that ``test_simulation`` finds clean without it."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, apply
from tests.simulation.schedule import run
from tests.simulation.world import replaced

SEEDS = 600


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_simulation_catches(mutant: str) -> None:
    with replaced():
        undo = apply(mutant)
        try:
            caught = next((seed for seed in range(SEEDS) if run(seed).problem), None)
        finally:
            undo()
        assert caught is not None, f"{SEEDS} schedules did not notice: {mutant}"
        assert run(caught).problem is None

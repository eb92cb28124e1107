"""Many schedules in one process of many."""

from __future__ import annotations

from tests.mutants import apply
from tests.simulation.schedule import Outcome, run
from tests.simulation.world import replaced


def lived_through(given: tuple[int, int, str | None, str | None]) -> list[Outcome]:
    """Outcomes of (first seed, count, kind, mutant)."""
    first, count, kind, mutant = given
    with replaced():
        undo = apply(mutant) if mutant else lambda: None
        try:
            return [run(seed, kind=kind) for seed in range(first, first + count)]
        finally:
            undo()

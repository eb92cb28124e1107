"""Aims follow the mistakes. That the nemesis catches them is seen by ``make chaos ARGS='--mutants all'``."""

from __future__ import annotations

import pytest

from tests.chaos.faults import FAILPOINTS, FAULTS
from tests.chaos.mutants import AIMS, SIMULATED_ONLY
from tests.mutants import MUTANTS


def test_a_mistake_has_an_aim_or_a_reason_why_it_has_none() -> None:
    assert sorted([*AIMS, *SIMULATED_ONLY]) == sorted(MUTANTS)


@pytest.mark.parametrize("name", AIMS)
def test_the_fault_that_must_show_a_mutant_is_one_there_is(name: str) -> None:
    for fault in AIMS[name].faults:
        how, _, place = fault.partition(":")
        assert (place in FAILPOINTS and how in {"die", "freeze"}) if place else fault in FAULTS

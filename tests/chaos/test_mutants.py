"""The wrong programs follow the code. That the nemesis catches them is seen by ``make chaos ARGS='--mutants all'``."""

from __future__ import annotations

import ast

import pytest

from tests.chaos.faults import FAILPOINTS, FAULTS
from tests.chaos.mutants import MUTANTS, changed


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_a_program_and_differs_in_what_it_says(name: str) -> None:
    mutant = MUTANTS[name]
    ast.parse(changed(mutant))
    assert changed(mutant) != changed(type(mutant)(mutant.name, mutant.about, mutant.file, (), mutant.faults))


@pytest.mark.parametrize("name", MUTANTS)
def test_the_fault_that_must_show_a_mutant_is_one_there_is(name: str) -> None:
    for fault in MUTANTS[name].faults:
        how, _, place = fault.partition(":")
        assert (place in FAILPOINTS and how in {"die", "freeze"}) if place else fault in FAULTS

"""Known mistakes, made to the product's own code for a test: the simulation and the nemesis must catch each.

A mutant replaces functions of chassis modules in the running process; nothing inside the product knows of it.
``apply("save_before_ack")`` gives what undoes it. A test's process launcher calls :func:`apply_from_environment`, so
that a child process runs as the mutant that ``TAIWA_TEST_MUTANT`` names; the product never reads that variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.mutants.consumer import (
    commit_first,
    holes_are_losses,
    holes_are_never_losses,
    no_offset_lock,
    no_version_check,
    nobody_is_held,
)
from tests.mutants.patching import Undo
from tests.mutants.relay import position_above_last, save_before_ack, transaction_id_order
from tests.mutants.timers import timer_outside_its_transaction

VARIABLE = "TAIWA_TEST_MUTANT"

MUTANTS: dict[str, Callable[[], Undo]] = {
    "commit_first": commit_first,
    "position_above_last": position_above_last,
    "no_version_check": no_version_check,
    "no_offset_lock": no_offset_lock,
    "transaction_id_order": transaction_id_order,
    "save_before_ack": save_before_ack,
    "timer_outside_its_transaction": timer_outside_its_transaction,
    "nobody_is_held": nobody_is_held,
    "holes_are_losses": holes_are_losses,
    "holes_are_never_losses": holes_are_never_losses,
}


def apply(name: str) -> Undo:
    """Make a mistake; gives what undoes it.

    Raises:
        KeyError: there is no such mutant.
    """
    return MUTANTS[name]()


def apply_from_environment() -> Undo | None:
    """Be the mutant that ``TAIWA_TEST_MUTANT`` names, if any; called by launchers of tests before anything runs."""
    name = os.environ.get(VARIABLE)
    return apply(name) if name else None

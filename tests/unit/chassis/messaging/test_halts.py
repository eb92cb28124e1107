"""Stops: a reason each, kept over a restart, cleared by an operator or a probe."""

from __future__ import annotations

from chassis.consumer.halts import PROBE_SECONDS, WHOLE, Halts
from chassis.consumer.ledger import Stop

PLACE = ("source.events", 3)
PAUSED = Stop("paused", "the database is down", "taiwa doctor", *PLACE)
STOPPED = Stop("stopped", "most events fail", "taiwa dead-letters list")


def test_a_stopped_consumer_stands_still_until_its_row_is_deleted() -> None:
    halts = Halts()
    halts.note(STOPPED, 0)
    assert halts.stands_still(PLACE)
    halts.reconcile([], 1)
    assert halts.stands_still(PLACE), "a row that is not written yet is not an operator's doing"
    halts.unsaved.clear()
    halts.reconcile([STOPPED], 10 * PROBE_SECONDS)
    assert halts.stands_still(PLACE), "it is not probed"
    halts.reconcile([], 10 * PROBE_SECONDS)
    assert not halts.stands_still(PLACE)


def test_a_log_that_fits_again_clears_its_stop_by_itself() -> None:
    stop = Stop("stopped", "another generation", "taiwa republish source")
    halts = Halts()
    halts.note(stop, 0)
    halts.unsaved.clear()
    halts.reconcile([stop], PROBE_SECONDS)
    assert halts.probing_whole
    assert not halts.stands_still(PLACE)
    halts.passed(WHOLE)
    assert halts.cleared == [WHOLE]
    assert halts.stopped is None


def test_a_stop_survives_a_restart() -> None:
    halts = Halts()
    halts.reconcile([STOPPED], 0)
    assert halts.stopped == STOPPED


def test_a_paused_partition_is_probed_and_cleared_when_the_probe_passes() -> None:
    halts = Halts()
    halts.note(PAUSED, 0)
    halts.unsaved.clear()
    assert halts.stands_still(PLACE)
    assert not halts.stands_still(("source.events", 4))
    halts.reconcile([PAUSED], PROBE_SECONDS)
    assert not halts.stands_still(PLACE)
    halts.passed(PLACE)
    assert halts.cleared == [PLACE]
    halts.reconcile([PAUSED], PROBE_SECONDS + 1)
    assert not halts.stands_still(PLACE), "the row is still to be deleted"


def test_a_probe_that_fails_pauses_again() -> None:
    halts = Halts()
    halts.note(PAUSED, 0)
    halts.reconcile([PAUSED], PROBE_SECONDS)
    halts.note(PAUSED, PROBE_SECONDS + 1)
    assert halts.stands_still(PLACE)
    halts.reconcile([PAUSED], PROBE_SECONDS + 2)
    assert halts.stands_still(PLACE)

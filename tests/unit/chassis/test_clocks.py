from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chassis import clocks
from chassis.calendar import TOKYO
from chassis.clocks import CivilClock, SimulatedTime


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The machine's time; put it by changing the one element."""
    now = [datetime(2026, 4, 12, 15, 30, tzinfo=UTC)]
    monkeypatch.setattr(clocks, "machine_now", lambda: now[0])
    return now


def test_the_town_s_day_is_tokyo_s(machine: list[datetime]) -> None:
    clock = CivilClock()
    assert clock.now() == machine[0]
    assert clock.now().tzinfo is TOKYO
    assert clock.today().isoformat() == "2026-04-13"


def test_a_simulated_clock_runs_on_from_where_it_was_put(machine: list[datetime]) -> None:
    put = datetime(2027, 3, 31, 23, 59, tzinfo=TOKYO)
    clock = CivilClock(SimulatedTime(put, machine[0]))
    assert clock.now() == put
    machine[0] += timedelta(minutes=2)
    assert clock.now() == put + timedelta(minutes=2)
    assert clock.today().isoformat() == "2027-04-01"

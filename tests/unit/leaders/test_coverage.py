from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.leaders.domain.coverage import Coverage, Period, judge, leaders_on, standing

FIRST, TODAY = date(2026, 1, 1), date(2026, 3, 1)
DAY = timedelta(days=1)

days = st.integers(0, 90).map(lambda number: FIRST + number * DAY)
periods = st.lists(st.builds(Period, days, st.none() | days), max_size=6)


def test_a_section_that_never_had_leaders_has_lost_nothing() -> None:
    never = Coverage(uuid4())
    assert judge(never, [], 1, TODAY) is never


def test_coverage_is_restored_from_the_first_day_and_lost_from_the_day_after_the_last() -> None:
    term = Period(date(2026, 2, 1), date(2026, 2, 20))
    restored = judge(Coverage(uuid4()), [term], 1, date(2026, 2, 10))
    assert (restored.covered, restored.since_on, restored.version) == (True, date(2026, 2, 1), 1)
    lost = judge(restored, [term], 1, TODAY)
    assert (lost.covered, lost.since_on, lost.version) == (False, date(2026, 2, 21), 2)


def test_a_second_leader_bridges_the_first_ones_end() -> None:
    terms = [Period(date(2026, 1, 1), date(2026, 2, 20)), Period(date(2026, 2, 15), None)]
    assert judge(Coverage(uuid4()), terms, 1, TODAY).since_on == date(2026, 1, 1)
    assert judge(Coverage(uuid4()), terms, 2, TODAY).covered is False


def test_a_section_that_had_enough_leaders_once_has_lost_them_and_another_never_had_them() -> None:
    term, never = Period(date(2026, 2, 1), date(2026, 2, 20)), Coverage(uuid4())
    assert standing(never, [term], 1, date(2026, 1, 31)) == "never"
    assert standing(never, [term], 1, date(2026, 2, 20)) == "covered"
    assert standing(never, [term], 1, TODAY) == "lost"
    assert standing(never, [term], 2, TODAY) == "never"
    assert standing(never, [], 1, TODAY) == "never"


def test_what_was_said_of_a_section_stays_said_when_the_rule_asks_for_more() -> None:
    term = Period(date(2026, 1, 1), None)
    lost = Coverage(uuid4(), covered=False, since_on=date(2026, 2, 1), version=2)
    assert standing(lost, [term], 2, TODAY) == "lost"
    assert standing(lost, [term], 2, date(2026, 1, 15)) == "never"


@given(periods, st.integers(1, 3))
def test_only_a_section_that_never_had_enough_leaders_is_told_nothing_of(terms: list[Period], needed: int) -> None:
    said, day = Coverage(uuid4()), FIRST
    while day <= TODAY:
        said = judge(said, terms, needed, day)
        assert (standing(said, terms, needed, day) == "never") == (said.version == 0)
        day += DAY


@given(periods, st.integers(1, 3), st.booleans())
def test_since_is_the_first_day_of_the_unbroken_run_up_to_today(
    terms: list[Period], needed: int, covered: bool
) -> None:
    before = Coverage(uuid4(), covered=covered, version=4)
    after = judge(before, terms, needed, TODAY)
    enough = leaders_on(terms, TODAY) >= needed
    assert after.covered == enough
    if enough == covered:
        assert after is before
        return
    assert after.version == 5
    assert after.since_on is not None
    since = after.since_on
    assert since <= TODAY
    run = [since + number * DAY for number in range((TODAY - since).days + 1)]
    assert all((leaders_on(terms, day) >= needed) == enough for day in run)
    if enough:
        assert leaders_on(terms, since - DAY) < needed


@given(periods, st.integers(1, 3))
def test_looking_again_on_the_same_day_says_nothing_new(terms: list[Period], needed: int) -> None:
    once = judge(Coverage(uuid4()), terms, needed, TODAY)
    assert judge(once, terms, needed, TODAY) is once

"""Dates, due times and groups as the style guide says them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from chassis.calendar import TOKYO
from chassis.http.work_items import Target, WorkItem
from services.portal.pages import wording


def moment(month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=TOKYO)


WEDNESDAY = moment(6, 10, 10, 30)


def item(name: str, due_at: datetime | None) -> WorkItem:
    return WorkItem(
        id=name,
        kind="answer",
        title=name,
        due_at=due_at,
        since=moment(6, 1),
        target=Target(kind="consultation", id="1"),
    )


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2026, 6, 12), "令和8年（2026年）6月12日（金）"),
        (date(2019, 5, 1), "令和元年（2019年）5月1日（水）"),
        (date(2019, 4, 30), "平成31年（2019年）4月30日（火）"),
        (date(1989, 1, 7), "昭和64年（1989年）1月7日（土）"),
    ],
)
def test_a_full_date_has_both_years(day: date, said: str) -> None:
    assert wording.day_full(day) == said


def test_an_instant_is_said_in_the_towns_time() -> None:
    assert wording.moment_short(datetime.fromisoformat("2026-06-12T08:15:00+00:00")) == "6月12日（金）17:15"


def test_nothing_is_said_of_no_date() -> None:
    assert wording.day_full(None) == wording.moment_short(None) == wording.day_era(None) == ""


def test_a_fiscal_year_is_named_by_its_april() -> None:
    assert wording.fiscal_year_full(2026) == "令和8年度（2026年度）"
    assert wording.fiscal_year_label(2019) == "令和元年度"


def test_what_is_due_today_says_how_long() -> None:
    due = wording.due(moment(6, 10, 17, 15), WEDNESDAY)
    assert (due.main, due.rest, due.pressing) == ("今日 17:15まで", "あと6時間45分", True)


def test_what_is_due_later_says_the_day() -> None:
    due = wording.due(moment(6, 12, 17, 15), WEDNESDAY)
    assert (due.main, due.rest, due.pressing) == ("6月12日（金）", "17:15まで", False)


def test_what_is_over_says_so() -> None:
    assert wording.due(moment(6, 9, 17, 15), WEDNESDAY).rest == "17:15を過ぎています"


def test_work_is_grouped_by_when_it_presses() -> None:
    work = wording.grouped(
        [
            item("no date", None),
            item("next week", moment(6, 15)),
            item("friday", moment(6, 12)),
            item("today", moment(6, 10, 17)),
            item("overdue", moment(6, 8)),
        ],
        WEDNESDAY,
    )
    assert [each.id for each in work.today] == ["overdue", "today"]
    assert [each.id for each in work.week] == ["friday"]
    assert [each.id for each in work.later] == ["next week", "no date"]
    assert work.count == 5


def test_on_a_saturday_this_week_is_the_coming_one() -> None:
    saturday = moment(6, 13)
    work = wording.grouped([item("friday", moment(6, 19)), item("after", moment(6, 20))], saturday)
    assert [each.id for each in work.week] == ["friday"]


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=20), "1分"),
        (timedelta(minutes=45), "45分"),
        (timedelta(hours=6), "6時間"),
        (timedelta(days=1, hours=2, minutes=5), "1日と2時間"),
    ],
)
def test_a_span_is_said_without_seconds(passed: timedelta, said: str) -> None:
    assert wording.span(passed.total_seconds()) == said


@pytest.mark.parametrize("cell", ["=1+1", "+81", "-1", "@name", "\tx"])
def test_a_cell_is_no_formula(cell: str) -> None:
    assert wording.csv_cell(cell) == f"'{cell}"


def test_the_board_tells_a_section_that_lost_its_leaders_from_one_that_never_had_any() -> None:
    assert wording.coverage_note("none", "lost") == "リーダーが欠けています"
    assert wording.coverage_note("late", "lost") == "リーダーが欠けています"
    assert wording.coverage_note("none", "never") == "まだ一度もいません"
    assert wording.coverage_note("late", "never") == ""
    assert wording.coverage_note("appointed", "covered") == ""


def test_every_kind_of_work_has_a_verb() -> None:
    assert set(wording.WORK) == set(WorkItem.model_fields["kind"].annotation.__args__)  # type: ignore[union-attr]  # a Literal


CALLED, CLOSES, ENDS = date(2026, 4, 1), date(2026, 4, 10), date(2027, 3, 31)


@pytest.mark.parametrize(
    ("states", "today", "standing"),
    [
        ((), CALLED, []),
        (("asked", "asked"), date(2026, 4, 3), ["done", "now", "", ""]),
        (("late", "awaiting_decision"), date(2026, 4, 13), ["done", "done", "now", ""]),
        (("awaiting_decision", "appointed"), date(2026, 4, 9), ["done", "done", "now", ""]),
        (("appointed", "absent"), date(2026, 4, 9), ["done", "done", "done", "now"]),
        (("late", "appointed"), date(2026, 4, 13), ["done", "done", "now", ""]),
    ],
)
def test_a_years_call_moves_by_what_happened(states: tuple[str, ...], today: date, standing: list[str]) -> None:
    called_on = CALLED if states else None
    steps = wording.call_steps(states, called_on, CLOSES, ENDS, today)
    assert [step.state for step in steps] == standing


def test_a_step_says_how_many_answered_and_are_late() -> None:
    steps = wording.call_steps(("late", "asked", "awaiting_decision", "appointed"), CALLED, CLOSES, ENDS, CLOSES)
    assert [step.stand for step in steps[:3]] == ["4課にお願い", "2課が回答・1課が遅れ", "決裁待ち 1課・選任済み 1課"]

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.refusals import Article, Refusal
from services.leaders.domain import appointment as domain
from services.leaders.domain.appointment import Appointment, Colleague, Correction, Decision, Deputy, End
from services.leaders.domain.refusals import (
    AlreadyHasDeputy,
    DecidedInFuture,
    HasLeft,
    NoDeputy,
    NothingCorrected,
    NotInOffice,
    NotOfSection,
    OwnDeputy,
    PeriodInvalid,
)
from services.leaders.domain.rules import Rule, TownRules

STARTS, ENDS, AFTER = date(2026, 4, 13), date(2027, 3, 31), date(2027, 4, 1)
TODAY = date(2026, 6, 1)
DAY = timedelta(days=1)


def appointment(**changes: object) -> Appointment:
    made = Appointment(uuid4(), uuid4(), uuid4(), uuid4(), 2026, STARTS, ENDS, "選任")
    return replace(made, **changes)  # type: ignore[arg-type]  # the fields a test names


def test_a_leader_is_in_office_from_the_first_to_the_last_day() -> None:
    it = appointment()
    assert [it.in_office(day) for day in (STARTS - DAY, STARTS, ENDS, AFTER)] == [False, True, True, False]


def test_an_end_to_come_is_planned_and_happens_on_its_day() -> None:
    planned = domain.end(appointment(), End(date(2026, 7, 1), "transfer"), TODAY)
    assert (planned.end, planned.version) == (None, 1)
    assert domain.due_on(planned) == date(2026, 7, 1)
    assert domain.fall_due(planned, date(2026, 6, 30), serves_on=True, has_successor=False) is planned
    ended = domain.fall_due(planned, date(2026, 7, 1), serves_on=True, has_successor=False)
    assert ended.end == End(date(2026, 7, 1), "transfer")
    assert (ended.planned_end, ended.version, domain.due_on(ended)) == (None, 2, None)


def test_an_end_before_the_first_day_leaves_no_day_in_office() -> None:
    ended = domain.end(appointment(), End(STARTS - 10 * DAY, "left"), TODAY)
    assert not any(ended.in_office(STARTS + step * DAY) for step in range(-20, 20))


def test_a_term_that_is_over_cannot_end_again() -> None:
    ended = domain.end(appointment(), End(TODAY, "resigned"), TODAY)
    with pytest.raises(NotInOffice):
        domain.end(ended, End(TODAY, "resigned"), TODAY)


def test_a_term_ends_by_itself_or_goes_on_by_rule_until_there_is_a_successor() -> None:
    it = appointment()
    assert domain.fall_due(it, ENDS, serves_on=True, has_successor=False) is it
    assert domain.fall_due(it, AFTER, serves_on=False, has_successor=False).end == End(AFTER, "term")
    assert domain.fall_due(it, AFTER, serves_on=True, has_successor=True).end == End(AFTER, "term")
    serving = domain.fall_due(it, AFTER, serves_on=True, has_successor=False)
    assert (serving.serves_on_from, serving.last_day, serving.version) == (AFTER, None, 2)
    assert domain.fall_due(serving, AFTER + 90 * DAY, serves_on=False, has_successor=True) is serving


def test_a_late_timer_ends_the_term_on_its_own_day() -> None:
    late = domain.fall_due(appointment(), AFTER + 9 * DAY, serves_on=False, has_successor=False)
    assert late.end == End(AFTER, "term")


def test_a_correction_keeps_what_it_does_not_name() -> None:
    it = appointment(decision=Decision(STARTS, "総務課長", "総務第41号"))
    mended = domain.correct(it, Correction(document_number="総務第42号"), TODAY)
    assert mended.decision == Decision(STARTS, "総務課長", "総務第42号")
    assert (mended.starts_on, mended.ends_on, mended.version) == (STARTS, ENDS, 2)
    with pytest.raises(NothingCorrected):
        domain.correct(mended, Correction(document_number="総務第42号"), TODAY)


def test_a_last_day_that_has_passed_ends_the_term_and_one_to_come_revives_it() -> None:
    ended = domain.correct(appointment(), Correction(ends_on=TODAY - DAY), TODAY)
    assert ended.end == End(TODAY, "term")
    revived = domain.correct(ended, Correction(ends_on=ENDS), TODAY)
    assert (revived.end, revived.last_day) == (None, ENDS)


def test_a_correction_cannot_end_a_term_before_it_begins() -> None:
    with pytest.raises(PeriodInvalid):
        domain.correct(appointment(), Correction(ends_on=STARTS - DAY), TODAY)


def test_a_correction_stays_inside_the_fiscal_year_and_names_no_decision_to_come() -> None:
    for wrong in (
        Correction(starts_on=date(2026, 3, 31)),
        Correction(starts_on=AFTER, ends_on=AFTER),
        Correction(ends_on=AFTER),
    ):
        with pytest.raises(PeriodInvalid):
            domain.correct(appointment(), wrong, TODAY)
    with pytest.raises(DecidedInFuture):
        domain.correct(appointment(), Correction(decided_on=TODAY + DAY), TODAY)


def test_what_was_withdrawn_is_corrected_no_more() -> None:
    withdrawn = domain.correct(appointment(), Correction(withdrawn=True), TODAY)
    assert not withdrawn.in_office(TODAY)
    with pytest.raises(NotInOffice):
        domain.correct(withdrawn, Correction(starts_on=TODAY), TODAY)


def test_only_the_transfer_behind_an_end_undoes_it() -> None:
    transfer = uuid4()
    ended = domain.end(appointment(), End(TODAY, "transfer", transfer), TODAY)
    assert domain.transfer_reverted(ended, uuid4()) is ended
    back = domain.transfer_reverted(ended, transfer)
    assert (back.end, back.version) == (None, 3)
    planned = domain.end(appointment(), End(TODAY + DAY, "transfer", transfer), TODAY)
    assert domain.transfer_reverted(planned, transfer).planned_end is None


def deputy(**changes: object) -> Deputy:
    return replace(Deputy(uuid4(), uuid4(), TODAY), **changes)  # type: ignore[arg-type]  # the fields a test names


def name(
    it: Appointment,
    wanted: Deputy,
    rules: TownRules | None = None,
    *,
    of_section: bool = True,
    has_left: bool = False,
) -> Appointment:
    colleague = Colleague(wanted.person_id, of_section, has_left)
    return domain.name_deputy(it, colleague, wanted, TODAY, rules or TownRules())


def test_a_leader_has_one_deputy_by_the_stored_article() -> None:
    article = Article("要綱 第6条第2項", "代理を1人決める。", fictional=True)
    stood_in = name(appointment(), deputy())
    with pytest.raises(AlreadyHasDeputy) as refused:
        name(stood_in, deputy(), TownRules({"deputy_when_absent": Rule(value=True, article=article)}))
    assert refused.value.article == article
    assert domain.end_deputy(stood_in).deputy is None
    with pytest.raises(NoDeputy):
        domain.end_deputy(appointment())


def test_deputies_are_colleagues_of_the_section_for_days_of_the_term() -> None:
    it = appointment()
    with pytest.raises(OwnDeputy):
        name(it, deputy(person_id=it.person_id))
    with pytest.raises(NotOfSection):
        name(it, deputy(), of_section=False)
    with pytest.raises(HasLeft):
        name(it, deputy(), has_left=True)
    for wrong in (
        deputy(from_on=STARTS - DAY),
        deputy(until_on=ENDS + DAY),
        deputy(until_on=TODAY - DAY),
        deputy(from_on=TODAY - 9 * DAY, until_on=TODAY - DAY),
    ):
        with pytest.raises(PeriodInvalid):
            name(it, wrong)
    with pytest.raises(NotInOffice):
        name(domain.end(it, End(TODAY, "left"), TODAY), deputy())


days = st.dates(date(2026, 3, 1), date(2027, 6, 30))
REASONS = ("successor", "transfer", "left", "resigned")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("end"), days, st.sampled_from(REASONS)),
        st.tuples(st.just("correct"), days, st.sampled_from(["starts_on", "ends_on"])),
        st.tuples(st.just("wait"), days, st.none()),
    ),
    max_size=12,
)


@given(steps, st.booleans(), st.booleans())
def test_whatever_happens_a_term_is_one_period_and_every_change_is_one_version(
    tried: list[tuple[str, date, str | None]], serves_on: bool, has_successor: bool
) -> None:
    it, today = appointment(), date(2026, 4, 13)
    for step, day, detail in tried:
        before = it
        try:
            if step == "end":
                it = domain.end(it, End(day, detail), today)  # type: ignore[arg-type]  # sampled from its values
            elif step == "correct":
                it = domain.correct(it, Correction(**{str(detail): day}), today)  # type: ignore[arg-type]  # two dates
            else:
                today = max(today, day)
                it = domain.fall_due(it, today, serves_on=serves_on, has_successor=has_successor)
        except Refusal:
            assert it is before
        assert it.version - before.version in {0, 1}
        # What others were told changes with a new version only.
        if it.version == before.version:
            assert (it.starts_on, it.last_day, it.is_over) == (before.starts_on, before.last_day, before.is_over)
        in_office = [it.in_office(date(2026, 1, 1) + number * DAY) for number in range(550)]
        changes = sum(left != right for left, right in pairwise(in_office))
        assert changes <= 2
        due_on = domain.due_on(it)
        assert due_on is None or not it.is_over
        if step == "wait" and it is not before:
            assert due_on is None or due_on > today
